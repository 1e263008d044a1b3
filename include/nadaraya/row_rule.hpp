// The row rule: a kernel and a normalization, bound to what a similarity's numbers mean.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/row.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <limits>
#include <span>
#include <vector>

namespace nadaraya {

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

  /// No key with a similarity at or below this can have weight, given the candidates so far.
  template <class Scalar>
  Scalar floor(RowView<Scalar> candidates) const {
    return normalization_.floor(kernel_, factor_, candidates);
  }

  /// Reduces a row to the keys that matter, writes their coordinates, and returns its map. An empty
  /// result is an empty row. If a candidate is NaN or +infinity, no key is told from another: all
  /// candidates stay and every weight is NaN.
  template <class Scalar>
  RowMap<Scalar> weigh(Row<Scalar>& row, std::vector<Scalar>& coordinates) const {
    coordinates.clear();
    if (row.empty()) return RowMap<Scalar>{};
    if (poisoned(row)) {
      const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
      coordinates.assign(row.size(), nan);
      return RowMap<Scalar>{nan, nan, nan, nan};
    }
    if constexpr (SelectingNormalization<N>) normalization_.select(kernel_, row);
    const RowMap<Scalar> map =
        normalization_.solve(kernel_, factor_, RowView<Scalar>(row.similarity));
    std::size_t kept = 0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      const Scalar t = map.coordinate(row.similarity[j]);
      if (!SelectingNormalization<N> && !in_support(kernel_, t)) continue;
      row.key[kept++] = row.key[j];
      coordinates.push_back(t);
    }
    // A total that underflows to zero leaves nothing to divide by: the row is empty.
    if (map.mass == Scalar(0)) {
      kept = 0;
      coordinates.clear();
    }
    row.key.resize(kept);
    row.similarity.clear();
    return map;
  }

  /// p_j from coordinates.
  template <class Scalar>
  void weights(const RowMap<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) const {
    for (std::size_t j = 0; j < t.size(); ++j) p[j] = weight(kernel_, map, t[j]);
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

  template <class Scalar>
  static bool poisoned(const Row<Scalar>& row) {
    const Scalar infinity(std::numeric_limits<Scalar>::infinity());
    for (const Scalar& z : row.similarity) {
      if (!(z < infinity)) return true;
    }
    return false;
  }

 private:
  K kernel_;
  N normalization_;
  double factor_;
};

}  // namespace nadaraya
