// A number that may be NaN, whatever the compiler has been promised.
#pragma once

#include "nadaraya/detail/inline.hpp"

// Under -ffinite-math-only clang takes what its vector intrinsics return for a number that is not NaN, within
// detail/precise.hpp too. NADARAYA_MAYBE_NAN(x) makes a variable opaque to it, so that a test for NaN stays one.
#if defined(__clang__) && defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ && defined(__SSE2__)
#define NADARAYA_MAYBE_NAN(x) asm("" : "+v"(x))
#elif defined(__clang__) && defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ && defined(__aarch64__)
#define NADARAYA_MAYBE_NAN(x) asm("" : "+w"(x))
#else
#define NADARAYA_MAYBE_NAN(x) static_cast<void>(x)
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Returns x, which may be NaN.
template <class Scalar>
NADARAYA_INLINE Scalar maybe_nan(Scalar x) {
  return x;
}
NADARAYA_INLINE float maybe_nan(float x) {
  NADARAYA_MAYBE_NAN(x);
  return x;
}
NADARAYA_INLINE double maybe_nan(double x) {
  NADARAYA_MAYBE_NAN(x);
  return x;
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
