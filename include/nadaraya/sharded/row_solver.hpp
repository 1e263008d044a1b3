// How a rank solves and mixes rows from the candidates of all ranks.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/cost.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/canonical_rows.hpp"
#include "nadaraya/sharded/exact_sum.hpp"
#include "nadaraya/sharded/gathered_rows.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/support_mix.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Memory of a thread that solves rows, and the row that it has solved last.
template <class Scalar>
struct SolverScratch {
  CandidateRow<Scalar> row;  ///< its keys by their positions among all, and their coordinates
  RowNormalizer<Scalar> map;
  RowOut<Scalar> p;  ///< its weights

  CanonicalScratch<Scalar> canonical;
  std::vector<std::pair<KeyIndex, Scalar>> sorted;
  engine::LineVector<Scalar> weights;
  std::vector<KeyIndex> places;
  engine::MixScratch<Scalar> mix;
  std::vector<KeyIndex> own;  ///< those of its keys that are this rank's, and their weights
  std::vector<Scalar> own_weights;
  engine::LineVector<Scalar> widened;

  /// Makes room for a row of `candidates` candidates.
  void reserve(std::size_t candidates) {
    sorted.reserve(candidates);
    row.clear();
    row.reserve(candidates);
    canonical.reserve(candidates);
    if (weights.size() < candidates + engine::pack_slack) weights.resize(candidates + engine::pack_slack);
    places.reserve(candidates);
  }
};

/// The candidates that all ranks have sent of some rows, with the values and keys that travel with them. Rows are solved on any thread.
template <class Scalar>
class RowSolver {
 public:
  /// The shard must outlive it.
  RowSolver(const Shard<Scalar>& shard, Mixing mixing)
      : shard_(shard), mixing_(mixing), value_cols_(mixing == Mixing::gather_values ? shard.value_cols() : Index(0)), mix_(shard) {}

  /// Memory that is taken before ranks wait for each other: to read `candidates` candidates of `rows` rows from `ranks` ranks.
  void reserve(std::size_t candidates, Index rows, int ranks) {
    ranks_.resize(static_cast<std::size_t>(ranks));
    for (RankCandidates<Scalar>& rank : ranks_) rank.reserve(static_cast<std::size_t>(rows));
    kept_.reserve(candidates);
    if (travel()) keyed_.reserve(candidates, cols());
  }

  /// Is the mix another than the weighted mean?
  bool corrects() const { return mix_.corrects(); }
  /// How many numbers travel with a key: its value if values are gathered, and the key itself if a mix is fitted to keys.
  Index cols() const { return value_cols_ + mix_.cols(); }

  /// Makes the keys ready that travel.
  void prepare() { mix_.prepare(); }

  /// Writes this rank's candidates above the floors, of some rows, and what travels with them.
  void write(std::span<const CandidateRow<Scalar>> rows, std::span<const Scalar> floors, Message& to) {
    add_candidates<Scalar>(rows, floors, [&](KeyIndex j) { return shard_.positions()[j]; }, kept_, to);
    if (!travel()) return;
    make_distinct(kept_);
    to.add(static_cast<KeyIndex>(kept_.size()));
    for (const KeyIndex j : kept_) to.add(static_cast<KeyIndex>(shard_.positions()[j]));
    for (const KeyIndex j : kept_) {
      to.add(std::span(shard_.value.read(j, 1, widened_).data, static_cast<std::size_t>(value_cols_)));
      mix_.add_key(j, to);
    }
  }

  /// Reads what each of `ranks` ranks has written of `rows` rows.
  void read(const Gathered& from, int ranks, Index rows) {
    ranks_.resize(static_cast<std::size_t>(ranks));
    keyed_.clear(cols());
    candidates_ = 0;
    rows_ = rows;
    for (int s = 0; s < ranks; ++s) {
      MessageReader reader(from.of(s));
      RankCandidates<Scalar>& of_rank = ranks_[static_cast<std::size_t>(s)];
      of_rank.read(static_cast<std::size_t>(rows), reader);
      candidates_ += of_rank.size();
      if (!travel()) continue;
      kept_.resize(static_cast<std::size_t>(reader.template read<KeyIndex>()));
      reader.read(kept_.data(), kept_.size());
      keyed_.read(kept_, reader);
    }
    keyed_.close();
  }

  /// The cost of solving and mixing the rows that were read.
  Cost cost() const {
    using Model = engine::CostModel<Scalar>;
    const double of_row = Model::query + (mix_.corrects() ? Model::fit : 0.0);
    return Cost{Model::scalar * (of_row * static_cast<double>(rows_) +
                                 static_cast<double>(candidates_) * (64 + Model::fetched * static_cast<double>(cols())))};
  }

  /// Solves the r-th row that was read, none of whose similarities is NaN or +infinity.
  void solve(std::size_t r, SolverScratch<Scalar>& to) const {
    take_row<Scalar>(r, ranks_, to.sorted, to.row);
    CanonicalRows<Scalar> rows(*shard_.policies.rule, Scalar(shard_.numbers.edge), to.canonical);
    to.map = rows.solve(to.row);
    shard_.policies.rule->weigh(to.row, to.map, to.weights);
    to.p = RowOut<Scalar>(to.weights.data(), to.row.size());
  }

  /// Replaces the weights of a row that was solved, of a query, by those that the mix makes of them.
  void correct(Index query, SolverScratch<Scalar>& of) const {
    if (travel()) keyed_.find(of.row.keys(), of.places);
    mix_.correct(query, keyed_.columns(value_cols_, mix_.cols()), of.places, of.map, of.p, of.mix);
  }

  /// out = sum_j p_j v_j, of a row that was corrected, where values travel.
  void mix(const SolverScratch<Scalar>& of, Scalar* out) const {
    engine::loops<Scalar>().mix(of.places.data(), of.p.data(), static_cast<Index>(of.p.size()), keyed_.view().data, cols(),
                                value_cols_, out);
  }

  /// Adds this rank's part of sum_j p_j v_j, of a row that was corrected, where values do not travel: to zeros, as SplitAddition does.
  void add_weighted_values(SolverScratch<Scalar>& of, double* high, double* low) const {
    const RowView<Scalar> p = of.p;
    if (p.empty()) return;
    const auto lighter = [](Scalar a, Scalar b) { return std::abs(a) < std::abs(b); };  // those of a mix may be negative
    const auto heaviest = static_cast<double>(std::abs(*std::max_element(p.begin(), p.end(), lighter)));
    const SplitAddition addition(heaviest * shard_.layout.largest_value, static_cast<double>(p.size()));
    of.own.clear();
    of.own_weights.clear();
    for (std::size_t j = 0; j < p.size(); ++j) {
      const Index local = shard_.layout.local(of.row.keys()[j], shard_.rank);
      if (local < 0) continue;
      of.own.push_back(static_cast<KeyIndex>(local));
      of.own_weights.push_back(p[j]);
    }
    add_weighted_rows<Scalar>(addition, of.own, of.own_weights.data(), shard_.value, of.widened, high, low);
  }

 private:
  /// Do numbers travel with keys? Also values of no columns do, whose places are looked up.
  bool travel() const { return mixing_ == Mixing::gather_values || mix_.corrects(); }

  const Shard<Scalar>& shard_;
  Mixing mixing_;
  Index value_cols_;
  SupportMix<Scalar> mix_;
  std::vector<RankCandidates<Scalar>> ranks_;
  Index rows_ = 0;  ///< that were read, with their candidates
  std::size_t candidates_ = 0;
  KeyedRows<Scalar> keyed_;
  std::vector<KeyIndex> kept_;
  engine::LineVector<Scalar> widened_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
