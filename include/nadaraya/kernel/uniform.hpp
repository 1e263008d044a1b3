// The box kernel: every key within the bandwidth counts the same.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/kernel/kernel.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Uniform (box) kernel: kappa(t) = 1 for t > 0. Its weights do not move with queries and keys: no gradient reaches them.
/// The profile jumps at the edge, so Adaptive (which needs a tau that makes the weights sum to one) is not defined for it.
struct Uniform {
  static constexpr bool compact = true;  ///< zero for t <= 0
  static constexpr bool elementwise = true;  ///< arithmetic alone: runs on vectors
  static constexpr bool homogeneous = true;  ///< kappa(s t) = kappa(s) kappa(t)

  /// kappa(t) = 1.
  template <class Scalar>
  NADARAYA_INLINE Scalar profile(const Scalar&) const {
    return Scalar(1);
  }

  /// kappa'(t) = 0.
  template <class Scalar>
  NADARAYA_INLINE Scalar derivative(const Scalar&) const {
    return Scalar(0);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
