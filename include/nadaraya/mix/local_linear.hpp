// A plane through the values of the support: local linear regression.
#pragma once

#include "nadaraya/mix/linear_fit.hpp"
#include "nadaraya/mix/mix.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// c_j = w_j (1 - rho^T (k_j - q)) over their sum, rho = (sum w (k - q)(k - q)^T + ridge (sum w) I)^-1 sum w (k - q): the
/// value at the query of the plane a + b^T (k - q) that minimizes sum w (v - a - b^T (k - q))^2 + ridge (sum w) |b|^2.
/// It has no bias of first order at the edge of the data, and none where keys lie unevenly (Fan 1992); as attention it
/// is Local Linear Attention (arXiv 2510.01450).
///
/// The ridge is a squared distance. Where the support spans less than the space, or a single point, the plane is flat in the
/// other directions: LocalConstant's answer there. A large ridge gives LocalConstant everywhere. The error of the weights
/// is about the rounding error times |k - q|^2 / ridge in a direction in which the keys do not vary.
///
/// It is solved in D x D, or for s < D in s x s; both agree to rounding. O(s D min(s, D)).
struct LocalLinear {
  static constexpr int degree = 1;  ///< of the polynomial

  double ridge = 1e-6;  ///< lambda > 0

  /// Memory, kept from row to row.
  template <class Scalar>
  using Scratch = detail::LinearFit<Scalar>;

  /// Throws std::invalid_argument unless the ridge is positive, and it and its inverse finite in the scalar.
  template <class Scalar>
  void validate(Index) const {
    detail::require_ridge<Scalar>(ridge, "LocalLinear");
  }

  /// c from w.
  template <class Scalar>
  void correct(const WeightedKeys<Scalar>& support, std::span<Scalar> corrected, Scratch<Scalar>& fit) const {
    if (support.size() > 0) fit.correct(support, Scalar(ridge), corrected);
  }

  /// Gradients by w, k, q; returns that by the ridge. After correct, with its scratch memory.
  template <class Scalar>
  Scalar pullback(const WeightedKeys<Scalar>& support, std::span<const Scalar> grad_corrected,
                  const WeightedKeyGradients<Scalar>& gradients, Scratch<Scalar>& fit) const {
    if (support.size() > 0) return fit.pullback(support, grad_corrected, gradients);
    std::fill_n(gradients.query, support.dimension(), Scalar(0));
    return Scalar(0);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
