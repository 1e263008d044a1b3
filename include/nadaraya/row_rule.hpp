// The row rule: a kernel and a normalization, bound to what a similarity's numbers mean.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/buffer.hpp"
#include "nadaraya/engine/row.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/normalization/self_normalized.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Is a similarity NaN or +infinity?
template <class Scalar>
bool poisoned(RowView<Scalar> z) {
  return engine::with_loops<Scalar>([&](auto loops) {
    return loops.any_above(z.data(), static_cast<Index>(z.size()), Scalar(Eigen::NumTraits<Scalar>::highest()));
  });
}

/// The map of a row in which no key is told from another.
template <class Scalar>
RowMap<Scalar> poisoned_map() {
  const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
  return RowMap<Scalar>{nan, nan, nan, nan};
}

/// The seam between the mathematics of weights and the computation of similarities: it is given
/// the candidates of a row and turns them into weights (`weigh`), and a gradient of those weights
/// into one of the similarities (`unweigh`). It knows nothing of queries, keys, values or tiles.
template <Kernel K, class N>
class RowRule {
 public:
  RowRule(const K& kernel, const N& normalization, double factor)
      : kernel_(kernel), normalization_(normalization), factor_(factor) {}

  /// Does a row keep less than all its keys?
  static constexpr bool sparse = K::compact || SelectingNormalization<N>;

  const K& kernel() const { return kernel_; }
  const N& normalization() const { return normalization_; }

  /// No key with a similarity at or below this can have weight, given the candidates so far.
  template <class Scalar>
  Scalar floor(const Row<Scalar>& row) const {
    return normalization_.floor(kernel_, factor_, row.values(), row.floor());
  }

  /// Raises a row's floor as far as its candidates tell, and drops those that it rules out.
  template <class Scalar>
  void refine(Row<Scalar>& row) const {
    raise_floor(row, floor(row));
  }

  /// The same for many rows: short ones at once, where the normalization can.
  template <class Scalar>
  void refine(std::span<Row<Scalar>* const> rows) const {
    const auto one = [&](std::size_t r) { refine(*rows[r]); };
    if constexpr (ManyRows<N, K, Scalar>) {
      const auto row_of = [&](std::size_t r) -> const Row<Scalar>& { return *rows[r]; };
      const auto alone = [](const Row<Scalar>& row) { return !is_short(row); };
      in_groups<Scalar>(rows.size(), row_of, alone, one, [&](const Group<Scalar>& group) {
        Scalar floors[Group<Scalar>::most];
        normalization_.floors(kernel_, group.z(), group.known(), floors);
        for (std::size_t i = 0; i < group.count; ++i) raise_floor(*rows[group.place[i]], floors[i]);
      });
    } else {
      for (std::size_t r = 0; r < rows.size(); ++r) one(r);
    }
  }

  /// Drops the candidates whose similarity is at or below a row's floor.
  template <class Scalar>
  static void prune(Row<Scalar>& row) {
    Scalar bound = row.floor();
    if (row.margin() > Scalar(0)) {
      bound -= row.margin() + Scalar(4) * Scalar(Eigen::NumTraits<Scalar>::epsilon()) * (detail::abs(row.floor()) + row.margin());
    }
    const Index kept = engine::with_loops<Scalar>([&](auto loops) {
      return loops.prune(row.value_data(), row.key_data(), static_cast<Index>(row.size()), bound);
    });
    row.resize(static_cast<std::size_t>(kept));
  }

  /// The map of a row, which a normalization that selects reduces to its selection. That of a row without candidates is
  /// the default. If a candidate is NaN or +infinity, no key is told from another: the map is NaN.
  template <class Scalar>
  RowMap<Scalar> solve(Row<Scalar>& row) const {
    if (row.empty()) return RowMap<Scalar>{};
    if (poisoned(row.values())) return poisoned_map<Scalar>();
    if constexpr (SelectingNormalization<N>) normalization_.select(kernel_, row);
    return normalization_.solve(kernel_, factor_, row.values(), row.floor());
  }

  /// The same for many rows: short ones at once, where the normalization can.
  template <class Scalar>
  void solve(std::span<Row<Scalar>> rows, std::span<RowMap<Scalar>> maps) const {
    const auto one = [&](std::size_t r) { maps[r] = solve(rows[r]); };
    if constexpr (ManyRows<N, K, Scalar>) {
      const auto row_of = [&](std::size_t r) -> const Row<Scalar>& { return rows[r]; };
      const auto alone = [](const Row<Scalar>& row) { return !is_short(row) || poisoned(row.values()); };
      in_groups<Scalar>(rows.size(), row_of, alone, one, [&](const Group<Scalar>& group) {
        RowMap<Scalar> solved[Group<Scalar>::most];
        normalization_.solve(kernel_, group.z(), group.known(), solved);
        for (std::size_t i = 0; i < group.count; ++i) maps[group.place[i]] = solved[i];
      });
    } else {
      for (std::size_t r = 0; r < rows.size(); ++r) one(r);
    }
  }

  /// Reduces a row to the keys that matter, turns its similarities into coordinates, and writes the
  /// weights: p holds at least row.size() of them. An empty result is an empty row. Where the map is NaN, all
  /// candidates stay and every weight is NaN.
  template <class Scalar>
  void weigh(Row<Scalar>& row, const RowMap<Scalar>& map, engine::LineVector<Scalar>& p) const {
    if (p.size() < row.size() + engine::pack_slack) p.resize(2 * (row.size() + engine::pack_slack));
    if (row.empty()) return;
    if (detail::is_nan(map.mass)) {
      std::fill(row.value_data(), row.value_data() + row.size(), map.mass);
      std::fill(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(row.size()), map.mass);
      return;
    }
    if (detail::underflows<K>(map)) {
      row.resize(detail::weigh_underflowing(kernel_, map, SelectingNormalization<N>, row.value_data(), row.key_data(),
                                            row.size(), p.data()));
      return;
    }
    const Index kept = engine::with_kernel_loops<K, Scalar>([&](auto loops) {
      return loops.weigh(kernel_, map, engine::edge_of<Scalar>(kernel_), SelectingNormalization<N>, row.value_data(),
                         row.key_data(), static_cast<Index>(row.size()), p.data());
    });
    // Without weight there is nothing to divide by: the row is empty.
    row.resize(map.mass == Scalar(0) ? 0 : static_cast<std::size_t>(kept));
  }

  /// Solves and weighs.
  template <class Scalar>
  RowMap<Scalar> weigh(Row<Scalar>& row, engine::LineVector<Scalar>& p) const {
    const RowMap<Scalar> map = solve(row);
    weigh(row, map, p);
    return map;
  }

  /// Solves a row that has not been reduced to candidates, -infinity where a key is not seen but not everywhere; z
  /// becomes kappa(t), the weights but for the mass. A normalization that selects has no such row.
  template <class Scalar>
  RowMap<Scalar> profiles(RowOut<Scalar> z) const {
    if (poisoned(RowView<Scalar>(z))) return poisoned_map<Scalar>();
    const Scalar unknown = -Scalar(Eigen::NumTraits<Scalar>::infinity());
    const RowMap<Scalar> map = normalization_.solve(kernel_, factor_, RowView<Scalar>(z), unknown);
    if (detail::underflows<K>(map)) {
      for (Scalar& z_j : z) z_j = map.coordinate(z_j);
      detail::underflowing_weights(kernel_, map, RowView<Scalar>(z), z);
      for (Scalar& p_j : z) p_j *= map.mass;
      return map;
    }
    engine::with_kernel_loops<K, Scalar>([&](auto loops) {
      loops.profiles(kernel_, map, engine::edge_of<Scalar>(kernel_), z.data(), static_cast<Index>(z.size()));
    });
    return map;
  }

  /// p_j from coordinates.
  template <class Scalar>
  void weights(const RowMap<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) const {
    if (detail::is_nan(map.mass)) {
      std::fill(p.begin(), p.end(), map.mass);
      return;
    }
    detail::weights(kernel_, map, t, p);
  }

  /// dL/dz from g = dL/dp; adds the gradients of bandwidth and alpha.
  template <class Scalar>
  void unweigh(const RowMap<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
               ParameterGradients<Scalar>& parameters) const {
    if (t.empty()) return;
    if (detail::is_nan(map.mass)) {
      for (Scalar& dz_j : dz) dz_j = map.mass;
      parameters.bandwidth += map.mass;
      parameters.alpha += map.mass;
      return;
    }
    normalization_.pullback(kernel_, map, t, g, dz, parameters);
  }

 private:
  /// Some short rows of many.
  template <class Scalar>
  struct Group {
    static constexpr std::size_t most = engine::most_rows_at_once;

    std::size_t count = 0;
    std::size_t place[most];
    RowView<Scalar> values[most];
    Scalar floors[most];

    std::span<const RowView<Scalar>> z() const { return {values, count}; }
    std::span<const Scalar> known() const { return {floors, count}; }
  };

  template <class Scalar>
  static bool is_short(const Row<Scalar>& row) {
    return !row.empty() && static_cast<Index>(row.size()) <= engine::longest_short_row;
  }

  /// Fewer rows are faster one by one than together.
  static constexpr std::size_t few = 4;

  /// Calls one(r) for the rows that want to be alone, and many(group) for the others unless there are but few rows.
  template <class Scalar, class RowOf, class Alone, class One, class Many>
  static void in_groups(std::size_t rows, const RowOf& row_of, const Alone& alone, const One& one, const Many& many) {
    Group<Scalar> group;
    for (std::size_t r = 0; r < rows; ++r) {
      const Row<Scalar>& row = row_of(r);
      if (rows < few || alone(row)) {
        one(r);
        continue;
      }
      group.place[group.count] = r;
      group.values[group.count] = row.values();
      group.floors[group.count] = row.floor();
      if (++group.count < Group<Scalar>::most) continue;
      many(group);
      group.count = 0;
    }
    if (group.count > 0) many(group);
  }

  template <class Scalar>
  static void raise_floor(Row<Scalar>& row, const Scalar& next) {
    if (!(row.floor() < next)) return;
    row.set_floor(next);
    prune(row);
  }

  K kernel_;
  N normalization_;
  double factor_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
