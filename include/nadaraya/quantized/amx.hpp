// Sums of sixteen queries and a panel by tiles of bytes (AMX): sixteen rows of 64 bytes each.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/quantized/avx512.hpp"
#include "nadaraya/quantized/codes.hpp"
#include "nadaraya/simd/target.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>

#if NADARAYA_HAS_AMX

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine::quantized {

NADARAYA_TARGET(NADARAYA_AVX512 ",avx512vnni,amx-tile,amx-int8")
namespace tiles {

// The numbers of tiles are part of the instructions, and of the compilers' own functions only literals are taken for these.
template <int Tile>
NADARAYA_INLINE void zero() {
  __asm__ volatile("{tilezero\t%%tmm%c0|tilezero\ttmm%c0}" : : "i"(Tile));
}
template <int Tile>
NADARAYA_INLINE void load(const void* from, Index stride) {
  __asm__ volatile("{tileloadd\t(%0,%1,1), %%tmm%c2|tileloadd\ttmm%c2, [%0+%1*1]}"
                   : : "r"(from), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
NADARAYA_INLINE void store(void* to, Index stride) {
  __asm__ volatile("{tilestored\t%%tmm%c2, (%0,%1,1)|tilestored\t[%0+%1*1], tmm%c2}"
                   : : "r"(to), "r"(stride), "i"(Tile) : "memory");
}
/// Sum += A B, of signed bytes and unsigned ones.
template <int Sum, int A, int B>
NADARAYA_INLINE void add_product() {
  __asm__ volatile("{tdpbsud\t%%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbsud\ttmm%c0, tmm%c1, tmm%c2}" : : "i"(Sum), "i"(A), "i"(B));
}

inline constexpr Index panel_bytes = panel_keys * group_bytes;
/// Groups of a full tile, 64 columns.
inline constexpr Index chunk_groups = 16;

/// Gives the thread's tiles their shapes: 0 to 3 are sums; 4 and 5 a chunk of queries and keys; 6 and 7 the last, shorter one.
inline void configure(Index groups) {
  const Index rest = groups % chunk_groups;
  alignas(64) std::uint8_t config[64] = {};
  config[0] = 1;  // the palette
  for (int tile = 0; tile < 8; ++tile) {
    const Index row_bytes = tile == 6 ? group_bytes * rest : tile == 7 && rest == 0 ? 0 : 64;
    config[16 + 2 * tile] = static_cast<std::uint8_t>(row_bytes);
    config[48 + tile] = static_cast<std::uint8_t>(tile == 7 ? rest : row_bytes == 0 ? 0 : 16);
  }
  // Compilers do not know that all of it is read.
  __asm__ volatile("" : : "r"(config) : "memory");
  _tile_loadconfig(config);
}

inline void release() { _tile_release(); }

/// Adds the products of a chunk, which go through the given tiles.
template <int Query, int Keys>
NADARAYA_INLINE void add_chunk(const std::uint8_t* query, Index stride, const std::uint8_t* codes) {
  load<Query>(query, stride);
  load<Keys>(codes, panel_bytes);
  add_product<0, Query, Keys>();
  load<Keys>(codes + 64, panel_bytes);
  add_product<1, Query, Keys>();
  load<Keys>(codes + 128, panel_bytes);
  add_product<2, Query, Keys>();
  load<Keys>(codes + 192, panel_bytes);
  add_product<3, Query, Keys>();
}

/// As Loops::find. The tiles must be configured; `query` must have sixteen rows.
inline unsigned find(Index n, unsigned reached, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                     const std::int32_t* threshold, PanelSums& sums) {
  using Loops = wide::Loops<wide::Isa>;
  // A tile of a decoder's one query would be mostly empty.
  if (n < 8) return Loops::find(n, reached, groups, query, stride, codes, threshold, sums);
  zero<0>();
  zero<1>();
  zero<2>();
  zero<3>();
  Index g = 0;
  for (; g + chunk_groups <= groups; g += chunk_groups) {
    add_chunk<4, 5>(query, stride, codes);
    query += chunk_groups * group_bytes;
    codes += chunk_groups * panel_bytes;
  }
  if (g < groups) add_chunk<6, 7>(query, stride, codes);
  store<0>(&sums[0][0], sizeof sums[0]);
  store<1>(&sums[0][16], sizeof sums[0]);
  store<2>(&sums[0][32], sizeof sums[0]);
  store<3>(&sums[0][48], sizeof sums[0]);
  unsigned found = 0;
  for (Index i = 0; i < n; ++i) found |= static_cast<unsigned>(Loops::any_above(sums[i], threshold[i])) << i;
  return found & reached;
}

}  // namespace tiles
NADARAYA_END_TARGET

}  // namespace nadaraya::engine::quantized

#endif

#include "nadaraya/detail/end_precise.hpp"
