// The similarity of classical kernel regression: minus the squared Euclidean distance.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <cmath>

namespace nadaraya {

/// z = -scale |q - k|^2. A fixed bandwidth is compared with sqrt(scale) |q - k|.
///
/// The distance is summed from the differences: |q|^2 + |k|^2 - 2 q.k would cancel for near rows.
/// That cheaper form serves only to rule out, under its own error bound, the keys that are too far
/// to matter.
struct SquaredDistance {
  static constexpr bool has_scale = true;
  static constexpr double distance_factor = 1.0;

  double scale = 1.0;

  void validate() const {
    detail::require(scale > 0.0 && std::isfinite(scale), "SquaredDistance: scale must be positive and finite, got ",
                    scale);
  }

  template <class Q, class K>
  ScalarOf<Q> score(const Q& q, const K& k) const {
    using Scalar = ScalarOf<Q>;
    return Scalar(-Scalar(scale) * Scalar((q - k).squaredNorm()));
  }

  template <class Q, class K, class Scores>
  void score_tile(const Q& queries, const K& keys, const auto& floor, Scores&& z) const {
    score_tile(queries, keys, floor, z, *this);
  }

  /// `exact` scores the pairs that are not ruled out.
  template <class Q, class K, class Scores, class Exact>
  void score_tile(const Q& queries, const K& keys, const auto& floor, Scores&& z, const Exact& exact) const {
    using Scalar = ScalarOf<Q>;
    // |approximate - direct| <= 4 (D + 8) eps (|q|^2 + |k|^2): both are sums of D products, each
    // off by at most D eps times the sum of their magnitudes (Higham 2002, section 3.1).
    const Scalar unit(static_cast<Scalar>(4 * (queries.cols() + 8)) * Eigen::NumTraits<Scalar>::epsilon());
    const auto query_norms = queries.rowwise().squaredNorm().eval();
    const auto key_norms = keys.rowwise().squaredNorm().eval();
    z.noalias() = queries * keys.transpose();
    for (Index i = 0; i < z.rows(); ++i) {
      for (Index j = 0; j < z.cols(); ++j) {
        const Scalar norms = query_norms(i) + key_norms(j);
        const Scalar nearest = norms - Scalar(2) * z(i, j) - unit * norms;
        z(i, j) = -Scalar(scale) * nearest;
        if (!(z(i, j) <= floor[static_cast<std::size_t>(i)])) z(i, j) = exact.score(queries.row(i), keys.row(j));
      }
    }
  }

  template <class Q, class K, class Scalar, class DQ, class DK>
  void pullback(const Q& q, const K& k, const Scalar& dz, DQ&& dq, DK&& dk) const {
    const Scalar scaled(Scalar(2) * Scalar(scale) * dz);
    dq += scaled * (k - q);
    dk += scaled * (q - k);
  }

  template <class Q, class K, class Scalar>
  Scalar scale_pullback(const Q& q, const K& k, const Scalar& dz) const {
    return Scalar(-dz * Scalar((q - k).squaredNorm()));
  }
};

}  // namespace nadaraya
