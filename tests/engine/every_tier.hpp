// What the tests of the vector loops share: every tier of the machine, and numbers for it.
#pragma once

#include <nadaraya/loops/tiers.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

// Tiers of the tests' own, their lanes in arrays: 2, 4, 8 and 16 floats, or 1, 2, 4 and 8 doubles.
namespace nadaraya::engine {

#define NADARAYA_TIER_ARRAYS
#define NADARAYA_TIER_BYTES 8
namespace arrays8 {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace arrays8
#undef NADARAYA_TIER_BYTES
#define NADARAYA_TIER_BYTES 16
namespace arrays16 {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace arrays16
#undef NADARAYA_TIER_BYTES
#define NADARAYA_TIER_BYTES 32
namespace arrays32 {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace arrays32
#undef NADARAYA_TIER_BYTES
#define NADARAYA_TIER_BYTES 64
namespace arrays64 {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace arrays64
#undef NADARAYA_TIER_BYTES
#undef NADARAYA_TIER_ARRAYS

}  // namespace nadaraya::engine

namespace nadaraya::test {

inline constexpr Index slack = 16;

/// work(loops, name) for every tier. With sanitizers, which take half a minute to compile each, one of the tests' own
/// has to do.
template <class Work>
void with_every_tier(const Work& work) {
  work(engine::arrays16::Loops{}, "arrays of 16 bytes");
  if constexpr (!sanitized) {
    work(engine::arrays8::Loops{}, "arrays of 8 bytes");
    work(engine::arrays32::Loops{}, "arrays of 32 bytes");
    work(engine::arrays64::Loops{}, "arrays of 64 bytes");
  }
  work(engine::baseline::Loops{}, "baseline");
#if NADARAYA_HAS_AVX
  if (simd::runs(simd::Tier::avx2)) work(engine::avx2::Loops{}, "avx2");
  if (simd::runs(simd::Tier::avx512)) work(engine::avx512::Loops{}, "avx512");
#endif
}

template <class T>
std::vector<T> numbers(Index n, Random& random) {
  std::vector<T> x(static_cast<std::size_t>(n + slack), std::numeric_limits<T>::quiet_NaN());
  for (Index j = 0; j < n; ++j) x[static_cast<std::size_t>(j)] = static_cast<T>(random.normal());
  return x;
}

inline std::vector<KeyIndex> run_of_keys(Index n) {
  std::vector<KeyIndex> keys(static_cast<std::size_t>(n + slack), -1);
  for (Index j = 0; j < n; ++j) keys[static_cast<std::size_t>(j)] = static_cast<KeyIndex>(3 * j + 1);
  return keys;
}

template <class T>
std::vector<T> first(const std::vector<T>& x, Index n) {
  return std::vector<T>(x.begin(), x.begin() + n);
}

template <class T>
T largest_difference(const std::vector<T>& a, const std::vector<T>& b) {
  REQUIRE(a.size() == b.size());
  T worst = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    const T difference = std::abs(a[j] - b[j]);
    if (!(difference <= worst)) worst = difference;
  }
  return worst;
}

}  // namespace nadaraya::test
