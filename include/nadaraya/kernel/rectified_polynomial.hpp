// The n-weight kernels: Epanechnikov, biweight, triweight and on.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Rectified polynomial: kappa(u) = [1 - u^2]_+^N, that is kappa(t) = t^N. With adaptive normalization it is alpha-entmax
/// with alpha = 1 + 1/N (Peters, Niculae & Martins 2019; arXiv 2601.22766).
template <int N>
struct RectifiedPolynomial {
  static_assert(N >= 1, "RectifiedPolynomial<N> needs N >= 1; the box kernel is Uniform");

  static constexpr bool compact = true;  ///< zero for t <= 0
  static constexpr bool elementwise = true;  ///< arithmetic alone: runs on vectors
  static constexpr bool homogeneous = true;  ///< kappa(s t) = kappa(s) kappa(t)
  static constexpr int exponent = N;  ///< r

  /// kappa(t) = t^N.
  template <class Scalar>
  NADARAYA_INLINE Scalar profile(const Scalar& t) const {
    return detail::power<N>(t);
  }

  /// kappa'(t) = N t^(N-1).
  template <class Scalar>
  NADARAYA_INLINE Scalar derivative(const Scalar& t) const {
    return Scalar(Scalar(N) * detail::power<N - 1>(t));
  }

  /// 1 / (alpha - 1).
  static constexpr double width() { return N; }
  static constexpr double alpha() { return 1.0 + 1.0 / N; }  ///< The alpha of its entmax.
};

/// [1 - u^2]_+: sparsemax when normalized adaptively, normalized ReLU with a fixed bandwidth.
using Epanechnikov = RectifiedPolynomial<1>;
/// [1 - u^2]_+^2: 1.5-entmax when normalized adaptively.
using Biweight = RectifiedPolynomial<2>;
/// [1 - u^2]_+^3: 4/3-entmax when normalized adaptively.
using Triweight = RectifiedPolynomial<3>;

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
