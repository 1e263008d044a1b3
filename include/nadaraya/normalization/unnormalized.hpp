// The fixed bandwidth without division by the row's sum: ReLU attention and density estimates.
#pragma once

#include "nadaraya/normalization/fixed_bandwidth.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Fixed bandwidth with a given divisor: t_j = 1 - d_j^2 / h^2, p_j = kappa(t_j) / mass with a given mass, such as the
/// kernel's integral or the number of keys. Rows do not sum to one; a row without support is zero anyway (and still counted
/// as empty).
struct Unnormalized {
  double bandwidth = 1.0;  ///< h, in units of the distance
  double mass = 1.0;  ///< what weights are divided by

  /// Refuses a similarity that is no distance, and a bias, when compiled.
  template <class K, class Similarity, class Mask>
  static constexpr void check() {
    detail::check_distances<Similarity, Mask>();
  }

  /// Throws std::invalid_argument unless h > 0, with a square that the scalar can hold, and 0 < mass <= 1e300.
  template <class Scalar>
  void validate(double factor) const {
    detail::bandwidth_width<Scalar>(bandwidth, factor, "Unnormalized");
    detail::require(mass > 0.0 && mass <= 1e300, "Unnormalized: mass must be positive and finite, got ", mass);
  }

  /// -h^2, as for FixedBandwidth.
  template <Kernel K, class Scalar>
  Scalar floor(const K& kernel, double factor, RowView<Scalar> z, const Scalar& floor_bound) const {
    return FixedBandwidth{bandwidth}.floor(kernel, factor, z, floor_bound);
  }

  /// t_j = 1 - d_j^2 / h^2, and the given divisor. O(1).
  template <Kernel K, class Scalar>
  RowNormalizer<Scalar> solve(const K& kernel, double factor, RowView<Scalar>, const Scalar&) const {
    const Scalar width = detail::bandwidth_width<Scalar>(bandwidth, factor, "Unnormalized");
    return RowNormalizer<Scalar>{Scalar(0), width, Scalar(centre(kernel)), Scalar(mass)};
  }

  /// As for FixedBandwidth, with a divisor that does not move.
  template <Kernel K, class Scalar>
  void pullback(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                ParameterGradients<Scalar>& parameters) const {
    const auto sums = detail::pull_to_coordinates(kernel, map, t, g, detail::Mean<Scalar>{}, Scalar(centre(kernel)), dz, parameters);
    parameters.bandwidth += Scalar(2) / Scalar(bandwidth) * sums.by_width;
    detail::divide_by(map.width, dz);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
