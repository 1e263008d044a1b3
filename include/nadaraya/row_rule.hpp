// The row rule: a kernel and a normalization, bound to what a similarity's numbers mean.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/row.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace nadaraya {

/// Is a candidate NaN or +infinity?
template <class Scalar>
bool poisoned(const Row<Scalar>& row) {
  return engine::with_loops<Scalar>([&](auto loops) {
    return loops.any_above(row.values().data(), static_cast<Index>(row.size()),
                           Scalar(Eigen::NumTraits<Scalar>::highest()));
  });
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
    const Scalar next = floor(row);
    if (!(row.floor() < next)) return;
    row.set_floor(next);
    prune(row);
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

  /// Reduces a row to the keys that matter, turns its similarities into coordinates, writes the
  /// weights (p holds at least row.size() of them) and returns the map. An empty result is an empty
  /// row. If a candidate is NaN or +infinity, no key is told from another: all candidates stay and
  /// every weight is NaN.
  template <class Scalar>
  RowMap<Scalar> weigh(Row<Scalar>& row, std::vector<Scalar>& p) const {
    if (p.size() < row.size() + Row<Scalar>::slack) p.resize(2 * (row.size() + Row<Scalar>::slack));
    if (row.empty()) return RowMap<Scalar>{};
    if (poisoned(row)) {
      const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
      std::fill(row.value_data(), row.value_data() + row.size(), nan);
      std::fill(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(row.size()), nan);
      return RowMap<Scalar>{nan, nan, nan, nan};
    }
    if constexpr (SelectingNormalization<N>) normalization_.select(kernel_, row);
    const RowMap<Scalar> map = normalization_.solve(kernel_, factor_, row.values(), row.floor());
    const Index kept = engine::with_kernel_loops<K, Scalar>([&](auto loops) {
      return loops.weigh(kernel_, map, engine::edge_of<Scalar>(kernel_), SelectingNormalization<N>, row.value_data(),
                         row.key_data(), static_cast<Index>(row.size()), p.data());
    });
    // A total that underflows to zero leaves nothing to divide by: the row is empty.
    row.resize(map.mass == Scalar(0) ? 0 : static_cast<std::size_t>(kept));
    return map;
  }

  /// p_j from coordinates.
  template <class Scalar>
  void weights(const RowMap<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) const {
    if (detail::is_nan(map.mass)) {
      std::fill(p.begin(), p.end(), map.mass);
      return;
    }
    engine::with_kernel_loops<K, Scalar>([&](auto loops) {
      loops.weights(kernel_, map, engine::edge_of<Scalar>(kernel_), t.data(), static_cast<Index>(t.size()),
                    p.data());
    });
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
  K kernel_;
  N normalization_;
  double factor_;
};

}  // namespace nadaraya
