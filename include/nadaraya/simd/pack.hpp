// A handful of scalars that are computed on together.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/simd/array.hpp"
#include "nadaraya/simd/compiler.hpp"

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

// gcc notes that vectors wider than the baseline's are passed differently by code that has the
// instructions for them. A Pack is passed by address, by both.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::simd {

/// A pack's lanes in an array: any compiler, any width.
struct Arrays {
  template <class T, std::size_t Bytes>
  struct Vector {
    using Type = Array<T, Bytes / sizeof(T)>;
  };
};

#if NADARAYA_HAS_VECTORS
/// A pack's lanes in a vector of the compiler's.
struct Vectors {
  template <class T, std::size_t Bytes>
  struct Vector {
    typedef T Type __attribute__((vector_size(Bytes)));
  };
};
using DefaultLanes = Vectors;
#else
using DefaultLanes = Arrays;
#endif

/// `Bytes` wide. Arithmetic goes lane by lane, so that a kernel's formula written for a scalar
/// works for a pack as well.
template <class T, std::size_t Bytes, class Lanes = DefaultLanes>
struct Pack {
  static constexpr std::size_t lanes = Bytes / sizeof(T);
  using Vector = typename Lanes::template Vector<T, Bytes>::Type;

  Vector v;

  NADARAYA_INLINE Pack() {}
  // Not trivial, so that a pack is passed and returned by address whatever instructions the two
  // sides have: a kernel that is not inlined, as without optimization, still gets its argument.
  NADARAYA_INLINE Pack(const Pack& other) : v(other.v) {}
  NADARAYA_INLINE Pack& operator=(const Pack& other) {
    v = other.v;
    return *this;
  }
  NADARAYA_INLINE explicit Pack(const Vector& vector) { std::memcpy(&v, &vector, Bytes); }
  /// Every lane x, for constants of formulas: g++ 12 may set one lane after the other, and a sum that begins so then stays in
  /// memory, where `broadcast` of the tiers takes one instruction.
  NADARAYA_INLINE explicit Pack(T x) {
    for (std::size_t j = 0; j < lanes; ++j) v[j] = x;
  }

  NADARAYA_INLINE friend Pack operator+(const Pack& a, const Pack& b) { return Pack(Vector(a.v + b.v)); }
  NADARAYA_INLINE friend Pack operator-(const Pack& a, const Pack& b) { return Pack(Vector(a.v - b.v)); }
  NADARAYA_INLINE friend Pack operator*(const Pack& a, const Pack& b) { return Pack(Vector(a.v * b.v)); }
  NADARAYA_INLINE friend Pack operator/(const Pack& a, const Pack& b) { return Pack(Vector(a.v / b.v)); }
  NADARAYA_INLINE friend Pack operator-(const Pack& a) { return Pack(Vector(-a.v)); }

  /// x where a < b, and y where it is not or one of them is NaN.
  NADARAYA_INLINE friend Pack where_less(const Pack& a, const Pack& b, const Pack& x, const Pack& y) {
    if constexpr (std::is_same_v<Lanes, Arrays>) {
      Pack chosen;
      for (std::size_t j = 0; j < lanes; ++j) chosen.v[j] = a.v[j] < b.v[j] ? x.v[j] : y.v[j];
      return chosen;
    } else {
      return Pack(Vector(a.v < b.v ? x.v : y.v));
    }
  }
  /// x where a <= b, and y where it is not or one of them is NaN.
  NADARAYA_INLINE friend Pack where_at_most(const Pack& a, const Pack& b, const Pack& x, const Pack& y) {
    if constexpr (std::is_same_v<Lanes, Arrays>) {
      Pack chosen;
      for (std::size_t j = 0; j < lanes; ++j) chosen.v[j] = a.v[j] <= b.v[j] ? x.v[j] : y.v[j];
      return chosen;
    } else {
      return Pack(Vector(a.v <= b.v ? x.v : y.v));
    }
  }
};

namespace detail {

template <std::size_t S, class P, std::size_t... J>
NADARAYA_INLINE void exchange(P& a, P& b, std::index_sequence<J...>) {
  if constexpr (requires { a.v.lane; }) {
    for (std::size_t j = S; j < P::lanes; ++j) {
      if ((j & S) == 0) continue;
      const auto moved = a.v[j];
      a.v[j] = b.v[j - S];
      b.v[j - S] = moved;
    }
  } else {
    const typename P::Vector first = a.v;
    a.v = __builtin_shufflevector(first, b.v, ((J & S) != 0 ? P::lanes + J - S : J)...);
    b.v = __builtin_shufflevector(first, b.v, ((J & S) != 0 ? P::lanes + J : J + S)...);
  }
}

}  // namespace detail

/// Exchanges the lanes of a whose number has the bit S with those of b that are S before them. For each bit
/// of their number in turn, done to the pairs of packs whose own numbers differ in that bit, it
/// transposes as many packs as they have lanes.
template <std::size_t S, class T, std::size_t Bytes, class Lanes>
NADARAYA_INLINE void exchange(Pack<T, Bytes, Lanes>& a, Pack<T, Bytes, Lanes>& b) {
  detail::exchange<S>(a, b, std::make_index_sequence<Pack<T, Bytes, Lanes>::lanes>{});
}

}  // namespace nadaraya::simd

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "nadaraya/detail/end_precise.hpp"
