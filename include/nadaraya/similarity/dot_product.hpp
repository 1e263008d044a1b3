// The similarity of attention: the scaled dot product.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <cmath>
#include <optional>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Scaled dot product: z = scale (q.k), the sum rounded first: scores that are equal without the scale are equal with it.
/// Left empty, the scale is 1 / sqrt(D).
struct DotProduct {
  static constexpr bool has_scale = true;  ///< `grads.scale` exists
  static constexpr bool is_product = true;  ///< it is a multiple of the product

  std::optional<double> scale = std::nullopt;  ///< empty: 1 / sqrt(D)

  /// Throws std::invalid_argument unless the scale is finite.
  void validate() const {
    detail::require(!scale || detail::is_finite(*scale), "DotProduct: scale must be finite, got ", scale.value_or(0.0));
  }

  /// scale (q.k)
  template <class Q, class K>
  ScalarOf<Q> score(const Q& q, const K& k) const {
    using Scalar = ScalarOf<Q>;
    return Scalar(factor<Scalar>(q.size()) * Scalar(q.dot(k)));
  }

  /// The scale, with equality.
  template <class Scalar>
  ProductBound<Scalar> product_bound(const Scalar&, Index dimension) const {
    return ProductBound<Scalar>{factor<Scalar>(dimension), Scalar(0), Scalar(0)};
  }

  /// dz times scale k to dq, and scale q to dk.
  template <class Q, class K, class Scalar, class DQ, class DK>
  void pullback(const Q& q, const K& k, const Scalar& dz, DQ&& dq, DK&& dk) const {
    const Scalar scaled(factor<Scalar>(q.size()) * dz);
    dq += scaled * k;
    dk += scaled * q;
  }

  /// dz (q.k)
  template <class Q, class K, class Scalar>
  Scalar scale_pullback(const Q& q, const K& k, const Scalar& dz) const {
    return Scalar(dz * Scalar(q.dot(k)));
  }

 private:
  template <class Scalar>
  Scalar factor(Index dimension) const {
    if (scale) return Scalar(*scale);
    return dimension == 0 ? Scalar(1) : Scalar(Scalar(1) / detail::sqrt(Scalar(static_cast<double>(dimension))));
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
