// The loops of screening for machines that multiply bytes in registers of 64 (AVX-512 VNNI), that also pick bytes out
// of these (AVX-512 VBMI2), or that multiply tiles of bytes (AMX).
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

  /// Whole numbers for x, as bytes; adds the squares of what they miss and of what they stand for.
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

  /// Appends what was set aside, mostly a key or two of a query, to the lists; returns how many queries it was.
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

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target(                                                                  \
    "avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx512vbmi2,amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx512vbmi2,amx-tile,amx-int8")
#endif

/// The instructions for tiles: their numbers are part of them, and of the compilers' own functions only literals are
/// taken for these.
namespace tiles {

template <int Tile>
NADARAYA_INLINE void zero() {
  __asm__ volatile("{tilezero\t%%tmm%c0|tilezero\ttmm%c0}" : : "i"(Tile));
}

template <int Tile>
NADARAYA_INLINE void load(const void* from, Index stride) {
  __asm__ volatile("{tileloadd\t(%0,%1,1), %%tmm%c2|tileloadd\ttmm%c2, [%0+%1*1]}" : : "r"(from), "r"(stride), "i"(Tile) : "memory");
}

template <int Tile>
NADARAYA_INLINE void store(void* to, Index stride) {
  __asm__ volatile("{tilestored\t%%tmm%c2, (%0,%1,1)|tilestored\t[%0+%1*1], tmm%c2}" : : "r"(to), "r"(stride), "i"(Tile) : "memory");
}

/// Sum += A B, of signed bytes and unsigned ones.
template <int Sum, int A, int B>
NADARAYA_INLINE void multiply() {
  __asm__ volatile("{tdpbsud\t%%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbsud\ttmm%c0, tmm%c1, tmm%c2}" : : "i"(Sum), "i"(A), "i"(B));
}

}  // namespace tiles

/// Sums of sixteen queries and a panel come from tiles: sixteen rows of 64 bytes each.
struct TileSketch : ListingByteSketch {
  /// The thread's tiles get their shapes: of a chunk of 64 columns, and of the last, shorter one.
  static void begin(Index groups) {
    const Index rest = groups % chunk_groups;
    alignas(64) std::uint8_t config[64] = {};
    config[0] = 1;  // the palette
    const auto shape = [&](int tile, Index rows, Index row_bytes) {
      config[16 + 2 * tile] = static_cast<std::uint8_t>(row_bytes);
      config[48 + tile] = static_cast<std::uint8_t>(rows);
    };
    for (const int tile : {0, 1, 2, 3, 4, 5}) shape(tile, 16, 64);
    shape(6, rest == 0 ? 0 : 16, sketch_group * rest);
    shape(7, rest, rest == 0 ? 0 : 64);
    // Compilers do not know that all of it is read.
    __asm__ volatile("" : : "r"(config) : "memory");
    _tile_loadconfig(config);
  }

  static void end() { _tile_release(); }

  template <class T>
  static Index screen(Index rows, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                      const Aims<T>& aims, const std::uint16_t* in_reach, KeyIndex first, Index expected, Candidates<T>* to) {
    // A tile of a decoder's one query would be mostly empty.
    if (rows < 8) return ListingByteSketch::screen(rows, groups, query, stride, codes, aims, in_reach, first, expected, to);
    alignas(64) TileSums sums;
    Index passed = 0;
    for (Index r = 0; r < rows; r += 16) {
      if (in_reach[r / 16] == 0) continue;
      form(groups, query + r * stride, stride, codes, sums);
      passed += list_tile(sums, rows - r, aims, r, first, to);
    }
    return passed;
  }

 private:
  using TileSums = std::int32_t[16][sketch_keys];
  using RowSums = __m512i[4];

  static constexpr Index panel_bytes = sketch_keys * sketch_group;
  /// Of 64 columns.
  static constexpr Index chunk_groups = 16;

  /// The sums of sixteen queries and a panel.
  NADARAYA_INLINE static void form(Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                                   TileSums& sums) {
    tiles::zero<0>();
    tiles::zero<1>();
    tiles::zero<2>();
    tiles::zero<3>();
    Index g = 0;
    for (; g + chunk_groups <= groups; g += chunk_groups) {
      add_chunk<4, 5>(query, stride, codes);
      query += chunk_groups * sketch_group;
      codes += chunk_groups * panel_bytes;
    }
    if (g < groups) add_chunk<6, 7>(query, stride, codes);
    tiles::store<0>(&sums[0][0], sizeof sums[0]);
    tiles::store<1>(&sums[0][16], sizeof sums[0]);
    tiles::store<2>(&sums[0][32], sizeof sums[0]);
    tiles::store<3>(&sums[0][48], sizeof sums[0]);
  }

  /// Adds the products of some columns, which go through the given tiles.
  template <int Query, int Keys>
  NADARAYA_INLINE static void add_chunk(const std::uint8_t* query, Index stride, const std::uint8_t* codes) {
    tiles::load<Query>(query, stride);
    tiles::load<Keys>(codes, panel_bytes);
    tiles::multiply<0, Query, Keys>();
    tiles::load<Keys>(codes + 64, panel_bytes);
    tiles::multiply<1, Query, Keys>();
    tiles::load<Keys>(codes + 128, panel_bytes);
    tiles::multiply<2, Query, Keys>();
    tiles::load<Keys>(codes + 192, panel_bytes);
    tiles::multiply<3, Query, Keys>();
  }

  NADARAYA_INLINE static void load_sums(const std::int32_t* from, RowSums& to) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) to[k] = _mm512_load_si512(from + 16 * k);
  }

  /// Appends the keys that pass for the queries of a tile, of which `rows` are left; returns how many of these it was.
  template <class T>
  NADARAYA_INLINE static Index list_tile(const TileSums& sums, Index rows, const Aims<T>& aims, Index r, KeyIndex first,
                                         Candidates<T>* to) {
    // Queries that have hits are noted without a branch, which would often be guessed wrongly.
    const int there = static_cast<int>(rows < 16 ? rows : 16);
    int noted[16];
    int count = 0;
    RowSums of_row;
    for (int i = 0; i < there; ++i) {
      noted[count] = i;
      load_sums(sums[i], of_row);
      count += _mm512_cmpgt_epi32_mask(largest(of_row), _mm512_set1_epi32(aims.threshold[r + i])) != 0;
    }
    for (int n = 0; n < count; ++n) {
      const Index at = r + noted[n];
      load_sums(sums[noted[n]], of_row);
      append(of_row, _mm512_set1_epi32(aims.threshold[at]), aims, at, first, to[at]);
    }
    return count;
  }
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

}  // namespace nadaraya::engine

#endif
