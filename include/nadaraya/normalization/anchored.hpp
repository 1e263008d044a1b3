// Bandwidth measured from the nearest key: the generalization of ReLUmax.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"

#include <algorithm>
#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Anchored normalization: t_j = 1 + (z_j - max z) / h^2, p_j = kappa(t_j) / sum_i kappa(t_i). With the Epanechnikov kernel
/// and a dot product it is ReLUmax. The nearest key always counts, so no row is empty while a key is visible, and the
/// bandwidth keeps its meaning whatever the level of the similarities.
struct Anchored {
  double bandwidth = 1.0;  ///< h, whose square is in units of the similarity

  /// Throws std::invalid_argument unless h > 0, with a square that the scalar can hold.
  template <class Scalar>
  void validate(double) const {
    detail::bandwidth_width<Scalar>(bandwidth, 1.0, "Anchored");
  }

  /// max z - h^2, for the maximum so far. The slack covers the rounding of the subtraction.
  template <Kernel K, class Scalar>
  Scalar floor(const K&, double, RowView<Scalar> z, const Scalar&) const {
    if (!K::compact || z.empty()) return -Scalar(Eigen::NumTraits<Scalar>::infinity());
    const Scalar largest = detail::largest(z);
    const Scalar width = detail::bandwidth_width<Scalar>(bandwidth, 1.0, "Anchored");
    const Scalar slack(Scalar(4) * Scalar(Eigen::NumTraits<Scalar>::epsilon()) * (detail::abs(largest) + width));
    return Scalar(largest - width - slack);
  }

  /// t_j = 1 + (z_j - max z) / h^2, and the sum as divisor. O(row).
  template <Kernel K, class Scalar>
  RowNormalizer<Scalar> solve(const K& kernel, double, RowView<Scalar> z, const Scalar&) const {
    return detail::at_nearest(kernel, nearest_width<Scalar>(kernel), z);
  }

  /// h^2
  template <class Scalar, Kernel K>
  Scalar nearest_width(const K&) const {
    return detail::bandwidth_width<Scalar>(bandwidth, 1.0, "Anchored");
  }

  /// The largest similarity enters every coordinate: it takes minus the sum of the others' gradients
  /// (the first of them, where several tie). dL/dh = (2 / h) sum_j dL/dt_j (1 - t_j).
  template <Kernel K, class Scalar>
  void pullback(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                ParameterGradients<Scalar>& parameters) const {
    const auto sums = detail::pull_self_normalized(kernel, map, t, g, Scalar(centre(kernel)), dz, parameters);
    parameters.bandwidth += Scalar(2) / Scalar(bandwidth) * sums.by_width;
    // To move all coordinates of an exponential kernel moves no weight: that sum is zero.
    if constexpr (!ExponentialKernel<K>) {
      const auto nearest = static_cast<std::size_t>(std::max_element(t.begin(), t.end()) - t.begin());
      dz[nearest] -= sums.total;
    }
    detail::divide_by(map.width, dz);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
