// The loops of screening for machines that multiply tiles of bytes (AMX).
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/engine/portable.hpp"
#include "nadaraya/engine/sketch_loops.hpp"
#include "nadaraya/engine/sketch_vbmi2.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>

#if NADARAYA_HAS_AMX

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

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

#include "nadaraya/detail/end_precise.hpp"
