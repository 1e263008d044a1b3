// The row rule of a kernel and a normalization.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/tiers.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/row/definitions.hpp"
#include "nadaraya/row/prune.hpp"
#include "nadaraya/row/row_rule.hpp"
#include "nadaraya/row/self_normalized.hpp"
#include "nadaraya/row/underflowing.hpp"
#include "nadaraya/row/weigh_scores.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <new>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A rule may be applied to whole vectors of pairs if its kernel takes packs and no key is kept for its rank.
template <class Scalar, class K, class N>
concept VectorRule = engine::vectorized<Scalar> && ElementwiseKernel<K> && !SelectingNormalization<N>;

/// Moving the coordinate only rescales an exponential kernel: its weights may be summed before the nearest key is known.
template <class Scalar, class K, class N>
concept OnlineRule = VectorRule<Scalar, K, N> && ExponentialKernel<K> && NearestNormalization<N, K, Scalar>;

template <class Scalar, class K, class N>
class RowRuleOf final : public RowRule<Scalar> {
 public:
  RowRuleOf(const K& kernel, const N& normalization, double distance_factor)
      : RowRule<Scalar>(RuleTraits{K::compact || SelectingNormalization<N>, SelectingNormalization<N>,
                                   ElementwiseKernel<K> && !SelectingNormalization<N>, OnlineRule<Scalar, K, N>}),
        kernel_(kernel),
        normalization_(normalization),
        factor_(distance_factor) {}

  /// Short rows are looked at together, where the normalization can.
  void refine(std::span<CandidateRow<Scalar>* const> rows) const override {
    const auto one = [&](std::size_t r) { refine(*rows[r]); };
    if constexpr (ManyRows<N, K, Scalar>) {
      const auto row_of = [&](std::size_t r) -> const CandidateRow<Scalar>& { return *rows[r]; };
      const auto alone = [](const CandidateRow<Scalar>& row) { return !is_short(row); };
      in_groups(rows.size(), row_of, alone, one, [&](const Group& group) {
        Scalar floors[Group::most];
        normalization_.floors(kernel_, group.z(), group.floor_bound(), floors);
        for (std::size_t i = 0; i < group.count; ++i) raise_floor(*rows[group.place[i]], floors[i]);
      });
    } else {
      for (std::size_t r = 0; r < rows.size(); ++r) one(r);
    }
  }
  void refine(CandidateRow<Scalar>& row) const {
    raise_floor(row, normalization_.floor(kernel_, factor_, row.values(), row.floor()));
  }

  void solve(std::span<CandidateRow<Scalar>> rows, std::span<RowNormalizer<Scalar>> maps) const override {
    const auto one = [&](std::size_t r) { maps[r] = solve(rows[r]); };
    if constexpr (ManyRows<N, K, Scalar>) {
      const auto row_of = [&](std::size_t r) -> const CandidateRow<Scalar>& { return rows[r]; };
      const auto alone = [](const CandidateRow<Scalar>& row) { return !is_short(row) || has_nonfinite(row.values()); };
      in_groups(rows.size(), row_of, alone, one, [&](const Group& group) {
        RowNormalizer<Scalar> solved[Group::most];
        normalization_.solve(kernel_, group.z(), group.floor_bound(), solved);
        for (std::size_t i = 0; i < group.count; ++i) maps[group.place[i]] = solved[i];
      });
    } else {
      for (std::size_t r = 0; r < rows.size(); ++r) one(r);
    }
  }
  RowNormalizer<Scalar> solve(CandidateRow<Scalar>& row) const {
    if (row.empty()) return RowNormalizer<Scalar>{};
    if (has_nonfinite(row.values())) return nonfinite_map();
    if constexpr (SelectingNormalization<N>) normalization_.select(kernel_, row);
    return normalization_.solve(kernel_, factor_, row.values(), row.floor());
  }

  void weigh(CandidateRow<Scalar>& row, const RowNormalizer<Scalar>& map, engine::LineVector<Scalar>& p) const override {
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

  RowNormalizer<Scalar> profiles([[maybe_unused]] RowOut<Scalar> z) const override {
    if constexpr (VectorRule<Scalar, K, N>) {
      if (has_nonfinite(RowView<Scalar>(z))) return nonfinite_map();
      const RowNormalizer<Scalar> map = normalization_.solve(kernel_, factor_, RowView<Scalar>(z), none());
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
    } else {
      return RowNormalizer<Scalar>{};
    }
  }

  RowNormalizer<Scalar> start() const override {
    if constexpr (OnlineRule<Scalar, K, N>) {
      const auto width = normalization_.template nearest_width<Scalar>(kernel_);
      return RowNormalizer<Scalar>{none(), width, Scalar(centre(kernel_)), Scalar(0)};
    } else {
      return RowNormalizer<Scalar>{};
    }
  }

  Scalar rescale(const RowNormalizer<Scalar>& map, const Scalar& top) const override {
    if constexpr (OnlineRule<Scalar, K, N>) {
      return kernel_.profile(Scalar(map.offset + (map.pivot - top) / map.width));
    } else {
      return Scalar(1);
    }
  }

  Scalar online_profiles([[maybe_unused]] const RowNormalizer<Scalar>& map, [[maybe_unused]] Scalar* z,
                         [[maybe_unused]] Index n) const override {
    if constexpr (OnlineRule<Scalar, K, N>) {
      return engine::with_kernel_loops<K, Scalar>([&](auto loops) { return loops.profiles(kernel_, map, Scalar(0), z, n); });
    } else {
      return Scalar(0);
    }
  }

  void weights(const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) const override {
    if (detail::is_nan(map.mass)) {
      std::fill(p.begin(), p.end(), map.mass);
      return;
    }
    detail::weights(kernel_, map, t, p);
  }

  void unweigh(const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
               ParameterGradients<Scalar>& parameters) const override {
    if (t.empty()) return;
    if (detail::is_nan(map.mass)) {
      for (Scalar& dz_j : dz) dz_j = map.mass;
      parameters.bandwidth += map.mass;
      parameters.alpha += map.mass;
      return;
    }
    normalization_.pullback(kernel_, map, t, g, dz, parameters);
  }

  void unweigh_weights(const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> p,
                       ParameterGradients<Scalar>& parameters) const override {
    if constexpr (OnlineRule<Scalar, K, N> && !HasBandwidth<N> && !AlphaKernel<K>) {
      // The weights of an exponential kernel are its slopes but for a factor: no exponential is formed again.
      if (!t.empty() && !detail::is_nan(map.mass)) {
        const Scalar factor(kernel_.derivative(Scalar(centre(kernel_))) / map.width);
        if (factor != Scalar(1)) engine::loops<Scalar>().scale(p.data(), static_cast<Index>(p.size()), factor, p.data());
        return detail::pull_slopes(g, p);
      }
    }
    unweigh(map, t, g, p, parameters);
  }

 private:
  /// Some short rows of many.
  struct Group {
    static constexpr std::size_t most = engine::most_rows_at_once;

    std::size_t count = 0;
    std::size_t place[most];
    RowView<Scalar> values[most];
    Scalar floors[most];

    std::span<const RowView<Scalar>> z() const { return {values, count}; }
    std::span<const Scalar> floor_bound() const { return {floors, count}; }
  };

  static bool is_short(const CandidateRow<Scalar>& row) {
    return !row.empty() && static_cast<Index>(row.size()) <= engine::longest_short_row;
  }

  /// Fewer rows are faster one by one than together.
  static constexpr std::size_t few = 4;

  /// Calls one(r) for the rows that want to be alone, and many(group) for the others unless there are but few rows.
  template <class RowOf, class Alone, class One, class Many>
  static void in_groups(std::size_t rows, const RowOf& row_of, const Alone& alone, const One& one, const Many& many) {
    Group group;
    for (std::size_t r = 0; r < rows; ++r) {
      const CandidateRow<Scalar>& row = row_of(r);
      if (rows < few || alone(row)) {
        one(r);
        continue;
      }
      group.place[group.count] = r;
      group.values[group.count] = row.values();
      group.floors[group.count] = row.floor();
      if (++group.count < Group::most) continue;
      many(group);
      group.count = 0;
    }
    if (group.count > 0) many(group);
  }

  static void raise_floor(CandidateRow<Scalar>& row, const Scalar& next) {
    if (!(row.floor() < next)) return;
    row.set_floor(next);
    prune(row);
  }

  /// Below every similarity.
  static Scalar none() { return -Scalar(Eigen::NumTraits<Scalar>::infinity()); }

  /// The map of a row in which no key is told from another.
  static RowNormalizer<Scalar> nonfinite_map() {
    const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
    return RowNormalizer<Scalar>{nan, nan, nan, nan};
  }

  K kernel_;
  N normalization_;
  double factor_;
};

template <class Scalar, class K, class N>
const RowRule<Scalar>* make_row_rule(const K& kernel, const N& normalization, double distance_factor, void* memory) {
  using Rule = RowRuleOf<Scalar, K, N>;
  static_assert(sizeof(Rule) <= row_rule_bytes<K, N> && alignof(Rule) <= row_rule_alignment<K, N>);
  return ::new (memory) Rule(kernel, normalization, distance_factor);
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
