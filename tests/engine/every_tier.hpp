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

// A tier of the tests' own: the vectors of the baseline as arrays, which compilers without vectors get.
namespace nadaraya::engine {

#define NADARAYA_TIER_ARRAYS
#define NADARAYA_TIER_BYTES 16
namespace arrays16 {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace arrays16
#undef NADARAYA_TIER_BYTES
#undef NADARAYA_TIER_ARRAYS

}  // namespace nadaraya::engine

namespace nadaraya::test {

inline constexpr Index slack = 16;

/// work(loops, name) for every tier of this machine; under sanitizers without the tests' own, whose loops are the baseline's.
template <class Work>
void with_every_tier(const Work& work) {
  if constexpr (!sanitized) work(engine::arrays16::Loops{}, "arrays of 16 bytes");
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
