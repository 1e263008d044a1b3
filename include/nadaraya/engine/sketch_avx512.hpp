// The loops of screening for machines that multiply bytes in registers of 64 (AVX-512 VNNI).
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/engine/portable.hpp"
#include "nadaraya/engine/sketch_loops.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>
#include <cstring>
#include <utility>

#if NADARAYA_HAS_AVX

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

#if defined(__clang__)
#pragma clang attribute push(                                                                                     \
    __attribute__((target("avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni")
#endif

/// Bytes in registers of 64; rows of double are prepared one by one.
struct WideByteSketch : PortableSketch<Bytes> {
  using PortableSketch::aim;
  using PortableSketch::quantize_keys;
  using PortableSketch::quantize_query;

  static Missed<float> quantize_keys(const float* x, Index stride, Index n, Index cols, const float* centre,
                                     const Steps<float>& by, std::uint8_t* codes) {
    const __m512 step = _mm512_set1_ps(by.step), inverse = _mm512_set1_ps(by.inverse);
    __m512 most_rest = _mm512_setzero_ps(), most_taken = _mm512_setzero_ps();
    for (Index j = 0; j < n; ++j) {
      const float* row = x + j * stride;
      __m512 rest = _mm512_setzero_ps(), taken = _mm512_setzero_ps();
      for (Index d = 0; d < cols; d += 16) {
        const __mmask16 there = first_lanes(cols - d);
        const __m512 from = _mm512_sub_ps(_mm512_maskz_loadu_ps(there, row + d), _mm512_maskz_loadu_ps(there, centre + d));
        const __m128i bytes = _mm_xor_si128(quantize(from, step, inverse, rest, taken), _mm_set1_epi8(-128));
        std::uint8_t* to = codes + d * sketch_keys + j * sketch_group;
        const Index groups = sketch_groups<Bytes>(cols - d);
        store_group(to, _mm_extract_epi32(bytes, 0));
        if (groups > 1) store_group(to + sketch_keys * sketch_group, _mm_extract_epi32(bytes, 1));
        if (groups > 2) store_group(to + 2 * sketch_keys * sketch_group, _mm_extract_epi32(bytes, 2));
        if (groups > 3) store_group(to + 3 * sketch_keys * sketch_group, _mm_extract_epi32(bytes, 3));
      }
      most_rest = _mm512_maskz_max_ps(0xffff, most_rest, _mm512_set1_ps(avx512::total(simd::Pack<float, 64>(rest))));
      most_taken = _mm512_maskz_max_ps(0xffff, most_taken, _mm512_set1_ps(avx512::total(simd::Pack<float, 64>(taken))));
    }
    return Missed<float>{_mm512_cvtss_f32(most_rest), _mm512_cvtss_f32(most_taken)};
  }

  static Missed<float> quantize_query(const float* x, Index cols, const Steps<float>& by, std::uint8_t* codes,
                                      std::int32_t& zero) {
    const __m512 step = _mm512_set1_ps(by.step), inverse = _mm512_set1_ps(by.inverse);
    __m512 rest = _mm512_setzero_ps(), taken = _mm512_setzero_ps();
    __m512i sum = _mm512_setzero_si512();
    for (Index d = 0; d < cols; d += 16) {
      const __m128i bytes = quantize(_mm512_maskz_loadu_ps(first_lanes(cols - d), x + d), step, inverse, rest, taken);
      sum = _mm512_add_epi32(sum, _mm512_maskz_cvtepi8_epi32(0xffff, bytes));
      // Codes are padded to a multiple of 16.
      _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + d), bytes);
    }
    alignas(64) std::int32_t sums[16];
    _mm512_store_si512(sums, sum);
    zero = 0;
    for (int i = 0; i < 16; ++i) zero += Bytes::zero * sums[i];
    return Missed<float>{avx512::total(simd::Pack<float, 64>(rest)), avx512::total(simd::Pack<float, 64>(taken))};
  }

  /// All arrays have room for whole packs.
  static bool aim(const PanelErrors<float>& panel, const Levels<float>& from, Index n, const Aims<float>& to,
                  std::uint16_t* in_reach) {
    const __m512 per_norm = _mm512_set1_ps(panel.rest + panel.rounding), taken = _mm512_set1_ps(panel.taken);
    const __m512 step = _mm512_set1_ps(panel.step), one = _mm512_set1_ps(1.0f);
    const __m512 slack = _mm512_set1_ps(8.0f * 1.1920929e-7f), bound = _mm512_set1_ps(1 << 30);
    unsigned any = 0;
    for (Index r = 0; r < n; r += 16) {
      const __m512 norm = _mm512_loadu_ps(from.norm + r), rest = _mm512_loadu_ps(from.rest + r);
      const __m512 centre = _mm512_loadu_ps(from.centre + r);
      const __m512 error = _mm512_fmadd_ps(norm, per_norm, _mm512_mul_ps(rest, taken));
      const __m512 unit = _mm512_mul_ps(_mm512_loadu_ps(from.step + r), step);
      const __m512 missing = _mm512_sub_ps(_mm512_sub_ps(_mm512_loadu_ps(from.level + r), centre), error);
      const __mmask16 out_of_reach =
          _mm512_cmp_ps_mask(missing, _mm512_mul_ps(_mm512_add_ps(norm, rest), taken), _CMP_GT_OQ);
      __m512 sums = _mm512_div_ps(missing, unit);
      const __m512 size = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(sums), _mm512_set1_epi32(0x7fffffff)));
      sums = _mm512_sub_ps(sums, _mm512_fmadd_ps(size, slack, one));
      // The second operand where the first is NaN.
      sums = _mm512_maskz_min_ps(0xffff, _mm512_maskz_max_ps(0xffff, sums, _mm512_sub_ps(_mm512_setzero_ps(), bound)), bound);
      // Rounded to the nearest: of the one that has been taken off, half is left.
      const __m512i whole = _mm512_maskz_cvtps_epi32(0xffff, sums);
      const __m512i threshold = _mm512_add_epi32(whole, _mm512_loadu_si512(to.zero + r));
      _mm512_storeu_si512(to.threshold + r, _mm512_mask_mov_epi32(threshold, out_of_reach, _mm512_set1_epi32(0x7fffffff)));
      _mm512_storeu_ps(to.base + r, _mm512_sub_ps(centre, error));
      _mm512_storeu_ps(to.unit + r, unit);
      in_reach[r / 16] = static_cast<std::uint16_t>(~out_of_reach & first_lanes(n - r));
      any |= in_reach[r / 16];
    }
    return any != 0;
  }

  template <class T>
  static Index screen(Index rows, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                      const Aims<T>& aims, const std::uint16_t* in_reach, KeyIndex first, Index /*expected*/,
                      Candidates<T>* to) {
    Index passed = 0;
    Hits hits;
    Index r = 0;
    for (; r + 6 <= rows; r += 6) {
      if (any_in_reach(in_reach, r)) set_aside<6>(groups, query + r * stride, stride, codes, aims.threshold, r, to, hits);
      if (hits.count > Hits::most - 6) passed += list(hits, aims, first, to);
    }
    for (; r < rows; ++r) {
      set_aside<1>(groups, query + r * stride, stride, codes, aims.threshold, r, to, hits);
      if (hits.count > Hits::most - 6) passed += list(hits, aims, first, to);
    }
    return passed + list(hits, aims, first, to);
  }

 protected:
  NADARAYA_INLINE static __mmask16 first_lanes(Index n) {
    return static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1u);
  }

  NADARAYA_INLINE static void store_group(std::uint8_t* to, int bytes) { std::memcpy(to, &bytes, sizeof bytes); }

  /// Whole numbers for x, as bytes; adds the squares of their residuals and of the numbers they represent.
  NADARAYA_INLINE static __m128i quantize(__m512 x, __m512 step, __m512 inverse, __m512& rest, __m512& taken) {
    const __m512i code = _mm512_maskz_cvtps_epi32(0xffff, _mm512_mul_ps(x, inverse));
    const __m512 whole = _mm512_maskz_cvtepi32_ps(0xffff, code);
    const __m512 missed = _mm512_fnmadd_ps(whole, step, x);
    const __m512 stands_for = _mm512_mul_ps(whole, step);
    rest = _mm512_fmadd_ps(missed, missed, rest);
    taken = _mm512_fmadd_ps(stands_for, stands_for, taken);
    return _mm512_maskz_cvtepi32_epi8(0xffff, code);
  }

  /// Sums in a type of their own: gcc takes an array of __m512i, which may alias anything, out of the
  /// registers at every step.
  typedef std::int32_t Sums __attribute__((vector_size(64)));

  NADARAYA_INLINE static bool any_in_reach(const std::uint16_t* in_reach, Index r) {
    std::uint32_t bits = in_reach[r / 16];
    if (r % 16 > 10) bits |= std::uint32_t(in_reach[r / 16 + 1]) << 16;
    return (bits >> (r % 16) & 0x3f) != 0;
  }

  /// Queries that a key passes for, with the sums of the panel and a bit for each key that passes.
  struct Hits {
    static constexpr int most = 48;

    int count = 0;
    Index row[most];
    std::uint64_t keys[most];
    Sums sum[most][4];
  };

  /// Sets the queries aside that a key passes for. Each is written down, and written over by the next if none
  /// does: where few have hits, a branch for each of those would mostly be guessed wrongly.
  template <int Rows, class T>
  NADARAYA_INLINE static void set_aside(Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                                        const std::int32_t* threshold, Index r, const Candidates<T>* to, Hits& hits) {
    Sums sum[Rows][4];
    accumulate<Rows>(groups, query, stride, codes, sum);
    int count = hits.count;
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const __m512i bound = _mm512_set1_epi32(threshold[r + i]);
      const __mmask32 low = _mm512_kunpackw(exceeds(sum[i][1], bound), exceeds(sum[i][0], bound));
      const __mmask32 high = _mm512_kunpackw(exceeds(sum[i][3], bound), exceeds(sum[i][2], bound));
      hits.row[count] = r + i;
      hits.keys[count] = _mm512_kunpackd(high, low) & to[r + i].visible;
#pragma GCC unroll 8
      for (int k = 0; k < 4; ++k) hits.sum[count][k] = sum[i][k];
      count += hits.keys[count] != 0;
    }
    hits.count = count;
  }

  NADARAYA_INLINE static __mmask16 exceeds(Sums sum, __m512i bound) { return _mm512_cmpgt_epi32_mask((__m512i)sum, bound); }

  /// Flushes the stashed hits, mostly a key or two of a query, to the lists; returns the number of queries flushed.
  template <class T>
  NADARAYA_INLINE static Index list(Hits& hits, const Aims<T>& aims, KeyIndex first, Candidates<T>* to) {
    for (int i = 0; i < hits.count; ++i) {
      const Index r = hits.row[i];
      T* z = to[r].z;
      KeyIndex* key = to[r].key;
      for (std::uint64_t left = hits.keys[i]; left != 0; left &= left - 1) {
        const int j = __builtin_ctzll(left);
        *z++ = aims.base[r] + aims.unit[r] * static_cast<T>(hits.sum[i][j / 16][j % 16] - aims.zero[r]);
        *key++ = first + static_cast<KeyIndex>(j);
      }
      to[r].z = z;
      to[r].key = key;
    }
    return std::exchange(hits.count, 0);
  }

  template <int Rows>
  NADARAYA_INLINE static void accumulate(Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                                         Sums (&sum)[Rows][4]) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int k = 0; k < 4; ++k) sum[i][k] = Sums{};
    }
    const std::uint8_t* end = query + groups * sketch_group;
    for (; query < end; query += sketch_group, codes += 4 * 64) {
      __m512i key[4];
#pragma GCC unroll 8
      for (int k = 0; k < 4; ++k) key[k] = _mm512_loadu_si512(codes + k * 64);
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
        std::int32_t bytes;
        std::memcpy(&bytes, query + i * stride, sizeof bytes);
        const __m512i factor = _mm512_set1_epi32(bytes);
#pragma GCC unroll 8
        for (int k = 0; k < 4; ++k) sum[i][k] = (Sums)_mm512_dpbusd_epi32((__m512i)sum[i][k], key[k], factor);
      }
    }
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
