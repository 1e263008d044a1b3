// A handful of scalars that are computed on together.
#pragma once

#include "nadaraya/detail/inline.hpp"

#include <cstddef>
#include <cstring>
#include <type_traits>

// gcc notes that vectors wider than the baseline's are passed differently by code that has the
// instructions for them. A Pack is passed by address, by both.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

namespace nadaraya::simd {

/// `Bytes` wide. Arithmetic goes lane by lane, so that a kernel's formula written for a scalar
/// works for a pack as well.
template <class T, std::size_t Bytes>
struct Pack {
  static constexpr std::size_t lanes = Bytes / sizeof(T);
#if defined(__GNUC__) || defined(__clang__)
  typedef T Vector __attribute__((vector_size(Bytes)));
#else
#error "nadaraya's vector code needs GCC or Clang"
#endif

  Vector v;

  NADARAYA_INLINE Pack() {}
  // Not trivial, so that a pack is passed and returned by address whatever instructions the two
  // sides have: a kernel that is not inlined, as without optimization, still gets what it was sent.
  NADARAYA_INLINE Pack(const Pack& other) : v(other.v) {}
  NADARAYA_INLINE Pack& operator=(const Pack& other) {
    v = other.v;
    return *this;
  }
  NADARAYA_INLINE explicit Pack(const Vector& vector) { std::memcpy(&v, &vector, Bytes); }
  NADARAYA_INLINE explicit Pack(T x) {
    for (std::size_t j = 0; j < lanes; ++j) v[j] = x;
  }

  NADARAYA_INLINE friend Pack operator+(const Pack& a, const Pack& b) { return Pack(Vector(a.v + b.v)); }
  NADARAYA_INLINE friend Pack operator-(const Pack& a, const Pack& b) { return Pack(Vector(a.v - b.v)); }
  NADARAYA_INLINE friend Pack operator*(const Pack& a, const Pack& b) { return Pack(Vector(a.v * b.v)); }
  NADARAYA_INLINE friend Pack operator/(const Pack& a, const Pack& b) { return Pack(Vector(a.v / b.v)); }
  NADARAYA_INLINE friend Pack operator-(const Pack& a) { return Pack(Vector(-a.v)); }
};

}  // namespace nadaraya::simd

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
