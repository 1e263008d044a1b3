// Rows of candidates that do not depend on how keys are sharded: which candidates a row is solved from.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/row/prune.hpp"
#include "nadaraya/row/row_rule.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Similarities z_max - n step, n = 0, 1, ..., for a row whose largest is z_max: bounds that any two floors of the row which
/// differ by rounding nearly always lie between the same two of.
template <class Scalar>
struct FloorGrid {
  Scalar largest{0};
  Scalar step{0};  ///< infinite if the row has no width
  /// How far apart the edges of supports may lie that were solved from different candidates of one row.
  Scalar tolerance{0};

  /// `width`: the similarity per unit of t in the row.
  FloorGrid(const Scalar& z_max, const Scalar& width) : largest(z_max) {
    const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
    tolerance = Scalar(256) * epsilon * (nadaraya::detail::abs(z_max) + width);
    step = width / Scalar(64);
    if (step < Scalar(16) * tolerance) step = Scalar(16) * tolerance;
    if (!(width > Scalar(0)) || !nadaraya::detail::is_finite(step)) step = Scalar(Eigen::NumTraits<Scalar>::infinity());
  }

  /// The largest of the grid that is at most z, which is below the largest similarity.
  Scalar at_or_below(const Scalar& z) const {
    const Scalar steps = std::ceil((largest - z) / step);
    if (!(steps < Scalar(1e6)) || !nadaraya::detail::is_finite(step)) return -Scalar(Eigen::NumTraits<Scalar>::infinity());
    return largest - (steps < Scalar(1) ? Scalar(1) : steps) * step;
  }

  /// What a rank's floor is lowered by, so that the candidates above it hold those above the grid's next lower one.
  Scalar margin() const { return step + Scalar(3) * tolerance; }
};

/// Memory of CanonicalRows.
template <class Scalar>
struct CanonicalScratch {
  CandidateRow<Scalar> lone;
  CandidateRow<Scalar> probe;

  /// Makes room for rows of `candidates` candidates: CanonicalRows::solve() then takes no memory of its own.
  void reserve(std::size_t candidates) {
    lone.reserve(1);
    probe.clear();
    probe.reserve(candidates);
  }
};

/// The rule of a row, applied to candidates of which every rank has a part. With x the similarities of all keys and tau the
/// threshold of some of them: more keys never lower it, so each rank's own is a floor for all, and the support of all keys is
/// that of the ranks' supports together. Which keys between floor and threshold a row is solved from would change its last
/// bits; so it is solved from those above a number that does not depend on them: the highest grid bound at or below the
/// edge of the support. Whether a bound is so high is asked of the row that is left above it, which is the same one however
/// many keys below it are known.
template <class Scalar>
class CanonicalRows {
 public:
  /// `edge`: the coordinate of the edge of a compact kernel. The rule and the memory, which one thread uses, must outlive it.
  CanonicalRows(const RowRule<Scalar>& rule, const Scalar& edge, CanonicalScratch<Scalar>& scratch)
      : rule_(rule), edge_(edge), lone_(scratch.lone), probe_(scratch.probe) {}

  /// Raises floors, though not as far as the rule does: candidates stay that a row may be solved from. To be called while
  /// they are gathered.
  void refine(std::span<CandidateRow<Scalar>* const> rows) {
    if (!rule_.traits().sparse) return;
    if (rule_.traits().selects) return rule_.refine(rows);
    for (CandidateRow<Scalar>* const row : rows) {
      // A floor that holds before any key is seen is the same on all ranks.
      if (row->empty()) {
        rule_.refine({&row, 1});
        continue;
      }
      const Scalar floor = certified_floor(*row, 1);
      const Scalar lowered = floor - grid(largest(*row)).margin();
      if (!(row->floor() < lowered)) continue;
      row->set_floor(lowered);
      prune(*row);
    }
  }

  /// The largest similarity at or below which no key has weight, as far as the row's candidates tell. They are all finite.
  Scalar floor_of(const CandidateRow<Scalar>& row) {
    if (!rule_.traits().sparse || row.empty()) return row.floor();
    return certified_floor(row, 4);
  }

  /// The floor above which candidates of all ranks are gathered, given the largest similarity and floor that a rank has.
  Scalar gathering_floor(const Scalar& z_max, const Scalar& floor) {
    if (!rule_.traits().sparse || !nadaraya::detail::is_finite(floor) || !nadaraya::detail::is_finite(z_max)) {
      return -Scalar(Eigen::NumTraits<Scalar>::infinity());
    }
    if (rule_.traits().selects) return floor;
    const FloorGrid<Scalar> of = grid(z_max);
    return of.at_or_below(floor - Scalar(2) * of.tolerance);
  }

  /// Solves a row of all candidates above a gathering floor, ascending, all finite, and leaves those that it was solved from.
  RowNormalizer<Scalar> solve(CandidateRow<Scalar>& row) {
    row.set_floor(-Scalar(Eigen::NumTraits<Scalar>::infinity()));
    if (row.empty() || rule_.traits().selects) return solve_by_rule(row);
    const FloorGrid<Scalar> of = grid(largest(row));
    const RowNormalizer<Scalar> of_all = solve_by_rule(row);
    const Scalar end = edge_of(of_all);
    const Scalar low = of.at_or_below(end - of.tolerance);
    const Scalar high = of.at_or_below(end + of.tolerance);
    if (high > low) {
      copy_above(row, high, probe_);
      const RowNormalizer<Scalar> map = solve_by_rule(probe_);
      if (edge_of(map) >= high) {
        keep_above(row, high);
        return map;
      }
    }
    const std::size_t all = row.size();
    keep_above(row, low);
    return row.size() == all ? of_all : solve_by_rule(row);
  }

 private:
  static Scalar largest(const CandidateRow<Scalar>& row) {
    return engine::loops<Scalar>().largest(row.values().data(), static_cast<Index>(row.size()));
  }

  /// One row at a time: short rows that are solved together may be solved in other steps.
  RowNormalizer<Scalar> solve_by_rule(CandidateRow<Scalar>& row) const {
    RowNormalizer<Scalar> map;
    rule_.solve({&row, 1}, {&map, 1});
    return map;
  }

  /// The similarity at the edge of the support.
  Scalar edge_of(const RowNormalizer<Scalar>& map) const { return Scalar(map.pivot - map.width * Scalar(map.offset - edge_)); }

  FloorGrid<Scalar> grid(const Scalar& z_max) {
    lone_.clear();
    lone_.push(0, z_max);
    return FloorGrid<Scalar>(z_max, solve_by_rule(lone_).width);
  }

  Scalar certified_floor(const CandidateRow<Scalar>& row, int rounds) {
    copy_above(row, -Scalar(Eigen::NumTraits<Scalar>::infinity()), probe_);
    probe_.set_floor(row.floor());
    CandidateRow<Scalar>* const probe = &probe_;
    for (int i = 0; i < rounds; ++i) {
      const Scalar before = probe_.floor();
      rule_.refine({&probe, 1});
      if (!(before < probe_.floor())) break;
    }
    return probe_.floor();
  }

  static void copy_above(const CandidateRow<Scalar>& row, const Scalar& bound, CandidateRow<Scalar>& to) {
    to.clear();
    to.reserve(row.size());
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (!(row.values()[j] <= bound)) to.push(row.keys()[j], row.values()[j]);
    }
  }

  static void keep_above(CandidateRow<Scalar>& row, const Scalar& bound) {
    std::size_t kept = 0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (row.values()[j] <= bound) continue;
      row.key_data()[kept] = row.keys()[j];
      row.value_data()[kept++] = row.values()[j];
    }
    row.resize(kept);
  }

  const RowRule<Scalar>& rule_;
  Scalar edge_;
  CandidateRow<Scalar>& lone_;
  CandidateRow<Scalar>& probe_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
