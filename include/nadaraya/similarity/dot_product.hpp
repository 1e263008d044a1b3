// The similarity of attention: the scaled dot product.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <cmath>
#include <optional>

namespace nadaraya {

/// z = scale q.k. Left empty, the scale is 1 / sqrt(D).
struct DotProduct {
  static constexpr bool has_scale = true;

  std::optional<double> scale = std::nullopt;

  DotProduct for_dimension(Index dimension) const {
    if (scale || dimension == 0) return DotProduct{scale.value_or(1.0)};
    return DotProduct{1.0 / std::sqrt(static_cast<double>(dimension))};
  }

  void validate() const {
    detail::require(!scale || std::isfinite(*scale), "DotProduct: scale must be finite, got ", scale.value_or(0.0));
  }

  template <class Q, class K>
  ScalarOf<Q> score(const Q& q, const K& k) const {
    using Scalar = ScalarOf<Q>;
    return Scalar(factor<Scalar>(q.size()) * Scalar(q.dot(k)));
  }

  template <class Q, class K, class Scores>
  void score_tile(const Q& queries, const K& keys, const auto&, Scores&& z) const {
    z.noalias() = queries * keys.transpose();
    z *= factor<ScalarOf<Q>>(queries.cols());
  }

  template <class Q, class K, class Scalar, class DQ, class DK>
  void pullback(const Q& q, const K& k, const Scalar& dz, DQ&& dq, DK&& dk) const {
    const Scalar scaled(factor<Scalar>(q.size()) * dz);
    dq += scaled * k;
    dk += scaled * q;
  }

  template <class Q, class K, class Scalar>
  Scalar scale_pullback(const Q& q, const K& k, const Scalar& dz) const {
    return Scalar(dz * Scalar(q.dot(k)));
  }

 private:
  template <class Scalar>
  Scalar factor(Index dimension) const {
    return Scalar(*for_dimension(dimension).scale);
  }
};

}  // namespace nadaraya
