// Elementary functions for any scalar, and a sum whose error does not grow with the length.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

// Found by argument-dependent lookup for automatic-differentiation and multiprecision scalars.
template <class Scalar>
NADARAYA_INLINE Scalar exp(const Scalar& x) {
  using std::exp;
  return Scalar(exp(x));
}
template <class Scalar>
Scalar log(const Scalar& x) {
  using std::log;
  return Scalar(log(x));
}
template <class Scalar>
NADARAYA_INLINE Scalar sqrt(const Scalar& x) {
  using std::sqrt;
  return Scalar(sqrt(x));
}
template <class Scalar>
NADARAYA_INLINE Scalar abs(const Scalar& x) {
  return x < Scalar(0) ? Scalar(-x) : x;
}

/// log(1 + x), to full relative precision for the built-in scalars.
template <class Scalar>
Scalar log1p(const Scalar& x) {
  if constexpr (std::is_floating_point_v<Scalar>) {
    return std::log1p(x);
  } else {
    return detail::log(Scalar(Scalar(1) + x));
  }
}

/// exp(x) - 1, likewise.
template <class Scalar>
Scalar expm1(const Scalar& x) {
  if constexpr (std::is_floating_point_v<Scalar>) {
    return std::expm1(x);
  } else {
    return Scalar(detail::exp(x) - Scalar(1));
  }
}

/// x^exponent for x >= 0 and a plain exponent.
template <class Scalar>
Scalar pow(const Scalar& x, double exponent) {
  if constexpr (std::is_floating_point_v<Scalar>) {
    return std::pow(x, static_cast<Scalar>(exponent));
  } else {
    using std::pow;
    return Scalar(pow(x, exponent));
  }
}

/// x^(1/N) for x >= 0.
template <int N, class Scalar>
NADARAYA_INLINE Scalar root(const Scalar& x) {
  static_assert(N >= 1);
  if constexpr (N == 1) {
    return x;
  } else if constexpr (N == 2) {
    return detail::sqrt(x);
  } else if constexpr (N == 3 && std::is_floating_point_v<Scalar>) {
    return std::cbrt(x);
  } else {
    return detail::pow(x, 1.0 / N);
  }
}

/// x^N by repeated squaring, N known at compile time.
template <int N, class Scalar>
NADARAYA_INLINE Scalar power(const Scalar& x) {
  static_assert(N >= 0);
  if constexpr (N == 0) {
    return Scalar(1);
  } else if constexpr (N == 1) {
    return x;
  } else {
    const Scalar half = power<N / 2>(x);
    if constexpr (N % 2 == 0) {
      return Scalar(half * half);
    } else {
      return Scalar(half * half * x);
    }
  }
}

/// Sum of term(0) ... term(n - 1) by halving: the rounding error grows with log n instead of n
/// (Higham 1993, "The accuracy of floating point summation").
template <class Scalar, class Term>
Scalar pairwise_sum(std::size_t first, std::size_t last, const Term& term) {
  constexpr std::size_t leaf = 32;
  if (last - first <= leaf) {
    Scalar sum(0);
    for (std::size_t j = first; j < last; ++j) sum += term(j);
    return sum;
  }
  const std::size_t middle = first + (last - first) / 2;
  const Scalar left = pairwise_sum<Scalar>(first, middle, term);
  return Scalar(left + pairwise_sum<Scalar>(middle, last, term));
}

template <class Scalar, class Term>
Scalar sum(std::size_t n, const Term& term) {
  return pairwise_sum<Scalar>(0, n, term);
}

/// The bits of a number but for its sign, and those of infinity: larger ones are NaN. Under -ffinite-math-only clang takes
/// any comparison of numbers in a template for one of finite ones, in the region of precise.hpp too.
inline std::uint32_t size_bits(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits & 0x7fffffffu;
}
inline std::uint64_t size_bits(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits & 0x7fffffffffffffffu;
}
inline constexpr std::uint32_t infinity_bits(float) { return 0x7f800000u; }
inline constexpr std::uint64_t infinity_bits(double) { return 0x7ff0000000000000u; }

template <class Scalar>
concept HasKnownBits = std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>;

template <class Scalar>
bool is_nan(const Scalar& x) {
  if constexpr (HasKnownBits<Scalar>) {
    return size_bits(x) > infinity_bits(Scalar(0));
  } else {
    return !(x == x);
  }
}

/// Neither NaN nor infinite. The standard library's function follows -ffinite-math-only.
template <class Scalar>
bool is_finite(const Scalar& x) {
  if constexpr (HasKnownBits<Scalar>) {
    return size_bits(x) < infinity_bits(Scalar(0));
  } else {
    return !is_nan(Scalar(x - x));
  }
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
