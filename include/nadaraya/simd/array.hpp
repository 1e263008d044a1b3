// What a pack is made of without a compiler's help: lanes in an array, one after the other.
#pragma once

#include "nadaraya/detail/inline.hpp"

#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::simd {

/// Arithmetic lane by lane, as of GCC's and Clang's vectors.
template <class T, std::size_t Lanes>
struct Array {
  T lane[Lanes];

  NADARAYA_INLINE T& operator[](std::size_t j) { return lane[j]; }
  NADARAYA_INLINE const T& operator[](std::size_t j) const { return lane[j]; }

  NADARAYA_INLINE friend Array operator+(const Array& a, const Array& b) {
    return each([&](std::size_t j) NADARAYA_INLINE_LAMBDA { return a[j] + b[j]; });
  }
  NADARAYA_INLINE friend Array operator-(const Array& a, const Array& b) {
    return each([&](std::size_t j) NADARAYA_INLINE_LAMBDA { return a[j] - b[j]; });
  }
  NADARAYA_INLINE friend Array operator*(const Array& a, const Array& b) {
    return each([&](std::size_t j) NADARAYA_INLINE_LAMBDA { return a[j] * b[j]; });
  }
  NADARAYA_INLINE friend Array operator/(const Array& a, const Array& b) {
    return each([&](std::size_t j) NADARAYA_INLINE_LAMBDA { return a[j] / b[j]; });
  }
  NADARAYA_INLINE friend Array operator-(const Array& a) {
    return each([&](std::size_t j) NADARAYA_INLINE_LAMBDA { return -a[j]; });
  }
  NADARAYA_INLINE friend Array operator<<(const Array& a, int bits) {
    return each([&](std::size_t j) NADARAYA_INLINE_LAMBDA { return a[j] << bits; });
  }
  NADARAYA_INLINE friend Array operator>>(const Array& a, int bits) {
    return each([&](std::size_t j) NADARAYA_INLINE_LAMBDA { return a[j] >> bits; });
  }

 private:
  template <class Lane>
  NADARAYA_INLINE static Array each(const Lane& lane_of) {
    Array result;
    for (std::size_t j = 0; j < Lanes; ++j) result.lane[j] = lane_of(j);
    return result;
  }
};

}  // namespace nadaraya::simd

#include "nadaraya/detail/end_precise.hpp"
