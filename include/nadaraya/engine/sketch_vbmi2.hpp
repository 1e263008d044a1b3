// The loops of screening for machines that also pick bytes out of registers of 64 (AVX-512 VBMI2).
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/engine/portable.hpp"
#include "nadaraya/engine/sketch_avx512.hpp"
#include "nadaraya/engine/sketch_loops.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>

#if NADARAYA_HAS_AVX

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target(                                                                  \
    "avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx512vbmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx512vbmi2")
#endif

/// Where most queries have hits, their keys are listed at once.
struct ListingByteSketch : WideByteSketch {
  template <class T>
  static Index screen(Index rows, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                      const Aims<T>& aims, const std::uint16_t* in_reach, KeyIndex first, Index expected, Candidates<T>* to) {
    if (2 * expected < rows) {
      return WideByteSketch::screen(rows, groups, query, stride, codes, aims, in_reach, first, expected, to);
    }
    Index passed = 0;
    Index r = 0;
    for (; r + 6 <= rows; r += 6) {
      if (any_in_reach(in_reach, r)) passed += list_rows<6>(groups, query + r * stride, stride, codes, aims, r, first, to);
    }
    for (; r < rows; ++r) passed += list_rows<1>(groups, query + r * stride, stride, codes, aims, r, first, to);
    return passed;
  }

 protected:
  NADARAYA_INLINE static __m512i largest(const __m512i (&sum)[4]) {
    return _mm512_maskz_max_epi32(0xffff, _mm512_maskz_max_epi32(0xffff, sum[0], sum[1]),
                                  _mm512_maskz_max_epi32(0xffff, sum[2], sum[3]));
  }

  /// Appends the keys of a panel whose sums pass.
  template <class T>
  NADARAYA_INLINE static void append(const __m512i (&sum)[4], __m512i threshold, const Aims<T>& aims, Index r, KeyIndex first,
                                     Candidates<T>& to) {
    const __mmask32 low = _mm512_kunpackw(_mm512_cmpgt_epi32_mask(sum[1], threshold), _mm512_cmpgt_epi32_mask(sum[0], threshold));
    const __mmask32 high = _mm512_kunpackw(_mm512_cmpgt_epi32_mask(sum[3], threshold), _mm512_cmpgt_epi32_mask(sum[2], threshold));
    const std::uint64_t found = _mm512_kunpackd(high, low) & to.visible;
    const int count = __builtin_popcountll(found);
    __m512i places = _mm512_maskz_compress_epi8(found, _mm512_loadu_si512(numbers));
    const __m512i zero = _mm512_set1_epi32(aims.zero[r]);
    for (int done = 0; done < count; done += 16) {
      const __m512i place = _mm512_maskz_cvtepu8_epi32(0xffff, _mm512_maskz_extracti32x4_epi32(0xf, places, 0));
      places = _mm512_maskz_shuffle_i32x4(0xffff, places, places, 0x39);  // the next sixteen
      const __m512i in_low = _mm512_permutex2var_epi32(sum[0], place, sum[1]);
      const __m512i in_high = _mm512_permutex2var_epi32(sum[2], place, sum[3]);
      const __m512i picked = _mm512_mask_mov_epi32(in_low, _mm512_test_epi32_mask(place, _mm512_set1_epi32(32)), in_high);
      store_bounds(to.z + done, _mm512_sub_epi32(picked, zero), aims.base[r], aims.unit[r]);
      _mm512_storeu_si512(to.key + done, _mm512_add_epi32(place, _mm512_set1_epi32(static_cast<int>(first))));
    }
    to.z += count;
    to.key += count;
  }

 private:
  static constexpr std::uint8_t numbers[64] = {
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
      16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
      32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
      48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
  };

  /// Appends the keys that pass for some queries; returns how many of these it was.
  template <int Rows, class T>
  NADARAYA_INLINE static Index list_rows(Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                                         const Aims<T>& aims, Index r, KeyIndex first, Candidates<T>* to) {
    Sums sum[Rows][4];
    accumulate<Rows>(groups, query, stride, codes, sum);
    Index passed = 0;
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const __m512i of_row[4] = {(__m512i)sum[i][0], (__m512i)sum[i][1], (__m512i)sum[i][2], (__m512i)sum[i][3]};
      const __m512i threshold = _mm512_set1_epi32(aims.threshold[r + i]);
      if (_mm512_cmpgt_epi32_mask(largest(of_row), threshold) == 0) continue;
      append(of_row, threshold, aims, r + i, first, to[r + i]);
      ++passed;
    }
    return passed;
  }

  NADARAYA_INLINE static void store_bounds(float* to, __m512i sum, float base, float unit) {
    _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(0xffff, sum), _mm512_set1_ps(unit), _mm512_set1_ps(base)));
  }
  NADARAYA_INLINE static void store_bounds(double* to, __m512i sum, double base, double unit) {
    const __m512d a = _mm512_set1_pd(unit), b = _mm512_set1_pd(base);
    const __m512d low = _mm512_maskz_cvtepi32_pd(0xff, _mm512_maskz_extracti32x8_epi32(0xff, sum, 0));
    const __m512d high = _mm512_maskz_cvtepi32_pd(0xff, _mm512_maskz_extracti32x8_epi32(0xff, sum, 1));
    _mm512_storeu_pd(to, _mm512_fmadd_pd(low, a, b));
    _mm512_storeu_pd(to + 8, _mm512_fmadd_pd(high, a, b));
  }
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

}  // namespace nadaraya::engine

#endif

#include "nadaraya/detail/end_precise.hpp"
