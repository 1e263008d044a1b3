// The similarity of classical kernel regression: minus the squared Euclidean distance.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <cmath>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Minus the squared distance: z = -scale |q - k|^2. A fixed bandwidth is compared with sqrt(scale) |q - k|.
///
/// The distance is summed from the differences: |q|^2 + |k|^2 - 2 q.k would cancel for near rows.
/// That cheaper form serves only to rule out, under its own error bound, the keys that are too far
/// to matter.
struct SquaredDistance {
  static constexpr bool has_scale = true;  ///< `grads.scale` exists
  static constexpr bool is_product = false;  ///< a product bounds it from above
  static constexpr double distance_factor = 1.0;  ///< squared distance = -z

  double scale = 1.0;  ///< positive

  /// Throws std::invalid_argument unless the scale is positive and finite.
  void validate() const {
    detail::require(scale > 0.0 && detail::is_finite(scale), "SquaredDistance: scale must be positive and finite, got ",
                    scale);
  }

  /// -scale |q - k|^2
  template <class Q, class K>
  ScalarOf<Q> score(const Q& q, const K& k) const {
    using Scalar = ScalarOf<Q>;
    return Scalar(-Scalar(scale) * Scalar((q - k).squaredNorm()));
  }

  /// -scale (|q|^2 + |k|^2 - 2 q.k), less its rounding. Products and norms are sums of D products,
  /// each off by at most (D + 2) eps times the sum of their magnitudes, which |q|^2 + |k|^2 bounds
  /// (Higham 2002, section 3.1); four times that leaves room for the products with the factors here. The
  /// constant has room for what underflows in them.
  template <class Scalar>
  ProductBound<Scalar> product_bound(const Scalar& query_norm, Index dimension) const {
    const Scalar unit(static_cast<Scalar>(4 * (dimension + 8)) * Eigen::NumTraits<Scalar>::epsilon());
    const Scalar norms(-Scalar(scale) * (Scalar(1) - unit));
    const Scalar lost(Scalar(scale) * static_cast<Scalar>(8 * (dimension + 8)) * Scalar((std::numeric_limits<Scalar>::min)()));
    return ProductBound<Scalar>{Scalar(Scalar(2) * Scalar(scale)), norms, Scalar(norms * query_norm + lost)};
  }

  /// sqrt(-floor / scale), and room for rounding: each square is of a rounded difference, and their
  /// sum and its product with the scale are rounded at most D times more. Infinite where the sum or the
  /// radius's own square might leave the range of full precision.
  template <class Scalar>
  Scalar radius(const Scalar& floor, Index dimension) const {
    using Real = Eigen::NumTraits<Scalar>;
    const Scalar least(Scalar((std::numeric_limits<Scalar>::min)()) / Scalar(Real::epsilon()));
    const auto ordinary = [&](const Scalar& x) { return least < x && x < Scalar(1) / least; };
    const Scalar square(-floor / Scalar(scale));
    if (!ordinary(Scalar(scale)) || !ordinary(Scalar(-floor)) || !ordinary(square)) return Scalar(Real::infinity());
    return Scalar(detail::sqrt(square) * (Scalar(1) + Scalar(static_cast<Scalar>(dimension + 8) * Real::epsilon())));
  }

  /// dz times 2 scale (k - q) to dq, and 2 scale (q - k) to dk.
  template <class Q, class K, class Scalar, class DQ, class DK>
  void pullback(const Q& q, const K& k, const Scalar& dz, DQ&& dq, DK&& dk) const {
    const Scalar scaled(Scalar(2) * Scalar(scale) * dz);
    dq += scaled * (k - q);
    dk += scaled * (q - k);
  }

  /// -dz |q - k|^2
  template <class Q, class K, class Scalar>
  Scalar scale_pullback(const Q& q, const K& k, const Scalar& dz) const {
    return Scalar(-dz * Scalar((q - k).squaredNorm()));
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
