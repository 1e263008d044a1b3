// The loops of screening in registers of 32 bytes: products of words, which every machine with AVX2 has, and
// products of bytes, for those with AVX-VNNI.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/engine/portable.hpp"
#include "nadaraya/engine/sketch_loops.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/simd/bits.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#if NADARAYA_HAS_AVX

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx,avx2,fma,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx,avx2,fma,bmi,bmi2,popcnt")
#endif
namespace words {
using Whole = Words;

NADARAYA_INLINE __m256i multiply_add(__m256i sum, __m256i key, __m256i query) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(key, query));
}

/// Eight codes, one after the other.
NADARAYA_INLINE __m128i packed(__m256i whole) {
  return _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
}

#include "nadaraya/engine/sketch_avx2.ipp"
}  // namespace words
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx,avx2,fma,bmi,bmi2,popcnt,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx,avx2,fma,bmi,bmi2,popcnt,avxvnni")
#endif
namespace bytes {
using Whole = Bytes;

NADARAYA_INLINE __m256i multiply_add(__m256i sum, __m256i key, __m256i query) {
  return _mm256_dpbusd_avx_epi32(sum, key, query);
}

NADARAYA_INLINE __m128i packed(__m256i whole) {
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  // The lowest byte of each, with a sign or without.
  return _mm_shuffle_epi8(words, _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, -1, -1, -1, -1, -1, -1, -1, -1));
}

#include "nadaraya/engine/sketch_avx2.ipp"
}  // namespace bytes
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

}  // namespace nadaraya::engine

#endif

#include "nadaraya/detail/end_precise.hpp"
