// A polynomial through the values of the support: local quadratic and cubic regression.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mix/mix.hpp"
#include "nadaraya/mix/monomials.hpp"
#include "nadaraya/mix/ridged_fit.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The value at the query of the polynomial in k - q, of degree 2 or 3 in up to three dimensions, that minimizes
///   sum_j w_j (v_j - a - sum_m b_m phi_m(k_j - q))^2 + ridge (sum w) |b|^2,
/// phi the monomials of degree 1 and up. The ridge adds to second moments of the monomials, whose units differ: keys are best
/// scaled so that those of a support are about 1 apart. Where keys do not determine the polynomial, its coefficients are the
/// smallest that fit. O(s M^2) for M monomials: 2, 5, 9 of degree 2 in 1, 2, 3 dimensions, 3, 9, 19 of degree 3.
/// (Fan and Gijbels 1996, "Local polynomial modelling and its applications", section 3.1.)
template <int Degree>
struct LocalPolynomial {
  static_assert(Degree == 2 || Degree == 3, "LocalPolynomial<2> or <3>; degree 1 is LocalLinear, 0 LocalConstant");
  static constexpr int degree = Degree;       ///< of the polynomial
  static constexpr Index max_dimension = 3;  ///< columns of keys

  double ridge = 1e-6;  ///< lambda > 0

  /// Memory, kept from row to row.
  template <class Scalar>
  struct Scratch {
    detail::Monomials monomials;     ///< of keys with `dimension` columns
    Index dimension = -1;            ///< -1: of none yet
    detail::RidgedFit<Scalar> fit;   ///< with the monomials for features
    detail::Square<Scalar> phi;       ///< the monomials [s x M]
    detail::Square<Scalar> gradient;  ///< by them [s x M]
  };

  /// Throws std::invalid_argument for keys of more than three columns, and as LocalLinear.
  template <class Scalar>
  void validate(Index dimension) const {
    detail::require_ridge<Scalar>(ridge, "LocalPolynomial");
    detail::require(dimension <= max_dimension, "LocalPolynomial: a quadratic or cubic fit takes keys of at most 3 columns, got ", dimension);
  }

  /// c from w.
  template <class Scalar>
  void correct(const WeightedKeys<Scalar>& support, std::span<Scalar> corrected, Scratch<Scalar>& scratch) const {
    if (support.size() == 0) return;
    prepare(support, scratch);
    scratch.fit.corrected(corrected.data());
  }

  /// Gradients by w, k, q; returns that by the ridge. After correct, with its scratch memory.
  template <class Scalar>
  Scalar pullback(const WeightedKeys<Scalar>& support, std::span<const Scalar> grad_corrected,
                  const WeightedKeyGradients<Scalar>& gradients, Scratch<Scalar>& scratch) const {
    using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
    const Index s = support.size(), d = support.dimension();
    std::fill_n(gradients.query, d, Scalar(0));
    if (s == 0) return Scalar(0);
    auto& fit = scratch.fit;
    fit.pull(Eigen::Map<const Vector>(grad_corrected.data(), s));
    fit.weight_slopes(gradients.weights.data());
    const Vector by_beta = fit.weights().array() * fit.residual().array();
    const Vector by_nu = fit.weights().array() * (Scalar(1) + fit.tilt().array());
    scratch.gradient = by_beta * fit.beta().transpose() - by_nu * fit.nu().transpose();
    scratch.monomials.pull(scratch.phi, scratch.gradient);
    const auto variables = scratch.gradient.leftCols(d);
    Eigen::Map<RowMatrix<Scalar>>(gradients.keys, s, d) = variables;
    Eigen::Map<Vector>(gradients.query, d) = -variables.colwise().sum().transpose();
    return fit.ridge_slope();
  }

 private:
  template <class Scalar>
  void prepare(const WeightedKeys<Scalar>& support, Scratch<Scalar>& scratch) const {
    const Index s = support.size(), d = support.dimension();
    if (scratch.dimension != d) {
      scratch.monomials = detail::Monomials(d, Degree);
      scratch.dimension = d;
    }
    const Index features = scratch.monomials.size();
    scratch.phi.resize(s, features);
    for (Index j = 0; j < s; ++j) {
      const Scalar* const key = support.key(j);
      for (Index m = 0; m < d; ++m) scratch.phi(j, m) = key[m] - support.query[m];
    }
    scratch.monomials.fill(scratch.phi);
    scratch.fit.resize(s, features);
    scratch.fit.columns() = scratch.phi;
    scratch.fit.weights() = Eigen::Map<const Eigen::Matrix<Scalar, Eigen::Dynamic, 1>>(support.weights.data(), s);
    scratch.fit.fit(Scalar(ridge));
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
