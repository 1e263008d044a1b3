// Elementary functions of packs.
#pragma once

#include "nadaraya/simd/pack.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::simd {

/// What exp needs to know of a scalar's format.
template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
  using Bits = std::int32_t;
  static constexpr float lowest = -104.0f;  // exp of less rounds to zero
  static constexpr float highest = 89.0f;   // exp of more is infinite
  static constexpr float round = 12582912.0f;  // 1.5 2^23: adding it leaves an integer in the low bits
  static constexpr float ln2_high = 0.693359375f;  // 9 bits, so that its products with exponents are exact
  static constexpr float ln2_low = -2.12194440e-4f;
  static constexpr int fraction_bits = 23;
  static constexpr Bits bias = 127;
  static constexpr int terms = 7;  // 0.35^8 / 8! < 6e-9
};

template <>
struct ExpConstants<double> {
  using Bits = std::int64_t;
  static constexpr double lowest = -746.0;
  static constexpr double highest = 710.0;
  static constexpr double round = 6755399441055744.0;  // 1.5 2^52
  static constexpr double ln2_high = 0.693145751953125;  // 15 bits
  static constexpr double ln2_low = 1.42860682030941723212e-6;
  static constexpr int fraction_bits = 52;
  static constexpr Bits bias = 1023;
  static constexpr int terms = 13;  // 0.35^14 / 14! < 5e-18
};

template <class T>
NADARAYA_INLINE constexpr T inverse_factorial(int k) {
  double factorial = 1;
  for (int i = 2; i <= k; ++i) factorial *= i;
  return static_cast<T>(1.0 / factorial);
}

/// e^x = sum 2^n, n whole, for an x between the lowest and the highest, or NaN.
template <class P>
struct ExpParts {
  typename P::Vector sum;
  typename P::Vector n;
  typename P::Vector shifted;  ///< n + round
};

/// x = n ln 2 + r with |r| <= ln(2) / 2, and e^r by its series.
template <class T, std::size_t Bytes, class Lanes>
NADARAYA_INLINE ExpParts<Pack<T, Bytes, Lanes>> exp_parts(const Pack<T, Bytes, Lanes>& x) {
  using P = Pack<T, Bytes, Lanes>;
  using V = typename P::Vector;
  using C = ExpConstants<T>;
  const V round = P(C::round).v;
  const V shifted = x.v * P(T(1.44269504088896340736)).v + round;
  const V n = shifted - round;
  const V r = (x.v - n * P(C::ln2_high).v) - n * P(C::ln2_low).v;
  V sum = P(inverse_factorial<T>(C::terms)).v;
#pragma GCC unroll 16
  for (int k = C::terms - 1; k >= 0; --k) sum = sum * r + P(inverse_factorial<T>(k)).v;
  return ExpParts<P>{sum, n, shifted};
}

/// e^x for an x between the lowest and the highest, or NaN, within 2 units in the last place; 0 and infinity where it leaves
/// the range.
template <class T, std::size_t Bytes, class Lanes>
NADARAYA_INLINE Pack<T, Bytes, Lanes> exp_between(const Pack<T, Bytes, Lanes>& x) {
  using P = Pack<T, Bytes, Lanes>;
  using V = typename P::Vector;
  using C = ExpConstants<T>;
  using Integers = Pack<typename C::Bits, Bytes, Lanes>;
  using Whole = typename Integers::Vector;
  const ExpParts<P> parts = exp_parts(x);
  // 2^n in two factors: n reaches below the smallest normal exponent.
  const V round = P(C::round).v;
  Whole exponent, offset;
  std::memcpy(&exponent, &parts.shifted, Bytes);
  std::memcpy(&offset, &round, Bytes);
  exponent = exponent - offset;
  const Whole half = exponent >> 1;
  const Whole bias = Integers(C::bias).v;
  const Whole first = (half + bias) << C::fraction_bits;
  const Whole second = (exponent - half + bias) << C::fraction_bits;
  V scale_first, scale_second;
  std::memcpy(&scale_first, &first, Bytes);
  std::memcpy(&scale_second, &second, Bytes);
  return P(V((parts.sum * scale_first) * scale_second));
}

/// The same for any x.
template <class T, std::size_t Bytes, class Lanes>
NADARAYA_INLINE Pack<T, Bytes, Lanes> exp(const Pack<T, Bytes, Lanes>& x) {
  using P = Pack<T, Bytes, Lanes>;
  const P low(ExpConstants<T>::lowest), high(ExpConstants<T>::highest);
  const P above = where_less(x, low, low, x);
  return exp_between(where_less(high, above, high, above));
}

}  // namespace nadaraya::simd

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "nadaraya/detail/end_precise.hpp"
