// The classical kernel regression: one bandwidth for all rows, weights divided by their sum.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/row/functions.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// h^2 in similarity: the similarity by which a key is worse than one at zero distance when it
/// lies h away. Formed by squaring in the scalar in use, so that a key at distance h exactly lands
/// on t = 0 exactly.
template <class Scalar>
Scalar bandwidth_width(double bandwidth, double factor, const char* name) {
  const auto h = static_cast<Scalar>(bandwidth);
  const Scalar width(h * h / Scalar(factor));
  require(bandwidth > 0.0 && width > Scalar(0) && width < Scalar(Eigen::NumTraits<Scalar>::infinity()), name,
          ": bandwidth must be positive, with a square that the scalar in use can hold, got ", bandwidth);
  return width;
}

template <class Similarity, class Mask>
constexpr void check_distances() {
  static_assert(MetricSimilarity<Similarity>,
                "a fixed bandwidth is compared with distances, and a dot product is not one: use SquaredDistance, or "
                "Cosine for rows on the unit sphere (normalized ReLU attention)");
  static_assert(!BiasMask<Mask>,
                "a fixed bandwidth is compared with distances, and an additive bias is not one: use Adaptive or "
                "Anchored with a bias");
}

}  // namespace detail

/// Fixed bandwidth: t_j = 1 - d_j^2 / h^2, p_j = kappa(t_j) / sum_i kappa(t_i) (Nadaraya 1964; Watson 1964). With the
/// Epanechnikov kernel on the unit sphere it is normalized ReLU attention: weights proportional to [q.k / gamma + b]_+,
/// gamma = h^2 / 2, b = 1 - 2 / h^2.
///
/// A query with no key closer than h has an empty row: output zero, gradient zero, counted.
struct FixedBandwidth {
  double bandwidth = 1.0;  ///< h, in units of the distance

  /// Refuses a similarity that is no distance, and a bias, when compiled.
  template <class K, class Similarity, class Mask>
  static constexpr void check() {
    detail::check_distances<Similarity, Mask>();
  }

  /// Throws std::invalid_argument unless h > 0, with a square that the scalar can hold.
  template <class Scalar>
  void validate(double factor) const {
    detail::bandwidth_width<Scalar>(bandwidth, factor, "FixedBandwidth");
  }

  /// Known before any key is seen. Division rounds monotonically, so the bound is exact.
  template <Kernel K, class Scalar>
  Scalar floor(const K&, double factor, RowView<Scalar>, const Scalar&) const {
    if (!K::compact) return -Scalar(Eigen::NumTraits<Scalar>::infinity());
    return Scalar(-detail::bandwidth_width<Scalar>(bandwidth, factor, "FixedBandwidth"));
  }

  /// An exponential kernel is measured from the nearest key: the same weights, and a query far
  /// from every key still has its answer where exp(-d^2 / 2h^2) underflows.
  template <Kernel K, class Scalar>
  RowNormalizer<Scalar> solve(const K& kernel, double factor, RowView<Scalar> z, const Scalar&) const {
    const Scalar width = detail::bandwidth_width<Scalar>(bandwidth, factor, "FixedBandwidth");
    if constexpr (ExponentialKernel<K>) {
      return detail::at_nearest(kernel, width, z);
    } else {
      return detail::at_zero(kernel, width, z);
    }
  }

  /// dL/dz_j = dL/dt_j / width; dL/dh = sum_j dL/dt_j 2 d_j^2 / h^3 = (2 / h) sum_j dL/dt_j (1 - t_j).
  template <Kernel K, class Scalar>
  void pullback(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                ParameterGradients<Scalar>& parameters) const {
    const auto sums = detail::pull_self_normalized(kernel, map, t, g, detail::zero_distance(kernel, map), dz, parameters);
    parameters.bandwidth += Scalar(2) / Scalar(bandwidth) * sums.by_width;
    detail::divide_by(map.width, dz);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
