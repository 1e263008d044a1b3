// The Gaussian kernel: the limit of the compact ones, and softmax when normalized adaptively.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Gaussian kernel: kappa(u) = exp(-u^2 / 2), that is kappa(t) = exp((t - 1) / 2). Never zero, so never sparse. It is the
/// limit r -> infinity of [1 - u^2 / (2 r)]^r.
struct Gaussian {
  static constexpr bool compact = false;  ///< it is positive everywhere
  static constexpr bool exponential = true;  ///< kappa(t + s) = kappa(t) exp(s / 2)
  static constexpr bool elementwise = true;  ///< arithmetic and exp alone: runs on vectors

  /// kappa(t) = exp((t - 1) / 2).
  template <class Scalar>
  NADARAYA_INLINE Scalar profile(const Scalar& t) const {
    return detail::exp(Scalar((t - Scalar(1)) / Scalar(2)));
  }

  /// kappa'(t) = kappa(t) / 2.
  template <class Scalar>
  NADARAYA_INLINE Scalar derivative(const Scalar& t) const {
    return Scalar(profile(t) / Scalar(2));
  }

  /// t = 2 z - tau makes the weights proportional to exp(z): softmax.
  static constexpr double width() { return 0.5; }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
