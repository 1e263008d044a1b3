// The loops of screening for every machine, and for rows of double.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/loops/portable.hpp"
#include "nadaraya/quantized/codes.hpp"
#include "nadaraya/simd/bits.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine::quantized::scalar {

/// Packs of one number.
namespace tier {
template <class T>
using PackOf = T;
template <class T>
inline constexpr Index lanes = 1;

template <class T>
NADARAYA_INLINE T load(const T* from) { return *from; }
template <class T>
NADARAYA_INLINE T load_part(const T* from, Index /*n*/) { return *from; }
template <class T>
NADARAYA_INLINE T broadcast(T x) { return x; }
template <class T>
NADARAYA_INLINE void store(T* to, T x) { *to = x; }
template <class T>
NADARAYA_INLINE T fma(T a, T b, T c) { return a * b + c; }
template <class T>
NADARAYA_INLINE T larger(T a, T b) { return a < b ? b : a; }
template <class T>
NADARAYA_INLINE T total(T x) { return x; }
template <class T>
NADARAYA_INLINE unsigned above(T x, T bound) { return x <= bound ? 0 : 1; }
template <class T>
NADARAYA_INLINE void compress(T* to, unsigned mask, T x) {
  if (mask != 0) *to = x;
}
template <class T>
NADARAYA_INLINE void compress_run(KeyIndex* to, unsigned mask, KeyIndex first, T) {
  if (mask != 0) *to = first;
}
}  // namespace tier

template <class T>
NADARAYA_INLINE T where_less(T a, T b, T x, T y) { return a < b ? x : y; }

template <class C>
struct Isa {
  using Codes = C;
  using Whole = std::int32_t;
  static constexpr int packs = 1;

  static unsigned exceeds(Whole a, Whole b) { return a > b ? 1 : 0; }
  static Whole larger(Whole a, Whole b) { return a > b ? a : b; }
  template <class T>
  static Whole nearest(T x) { return static_cast<Whole>(std::lrint(x)); }
  template <class T>
  static Whole threshold(T x) { return static_cast<Whole>(std::floor(x)); }
  template <class T>
  static T reals(Whole x) { return static_cast<T>(x); }
  template <class T>
  static T reals(const Whole* from, Whole less) { return static_cast<T>(*from - less); }
  static void narrow(Whole code, std::uint8_t* to) {
    const auto some = static_cast<typename C::Key>(code);
    std::memcpy(to, &some, sizeof some);
  }
  static Whole dot(Whole sum, Whole key, Whole query) {
    typename C::Key k[group_columns<C>];
    typename C::Query q[group_columns<C>];
    std::memcpy(k, &key, sizeof k);
    std::memcpy(q, &query, sizeof q);
    for (Index c = 0; c < group_columns<C>; ++c) sum += Whole(k[c]) * Whole(q[c]);
    return sum;
  }
};

#include "nadaraya/quantized/loops.ipp"

}  // namespace nadaraya::engine::quantized::scalar

#include "nadaraya/detail/end_precise.hpp"
