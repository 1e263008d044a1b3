// Sums of sixteen queries and a panel by tiles of bytes (AMX): sixteen rows of 64 bytes each.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/quantized/avx512.hpp"
#include "nadaraya/quantized/codes.hpp"
#include "nadaraya/simd/target.hpp"
#include "nadaraya/simd/tiles.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>

#if NADARAYA_HAS_AMX

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine::quantized {

NADARAYA_TARGET(NADARAYA_AVX512 ",avx512vnni,amx-tile,amx-int8")
namespace tiles {

using simd::tiles::load;
using simd::tiles::release;
using simd::tiles::store;
using simd::tiles::zero;

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
  const auto rest = static_cast<std::uint8_t>(groups % chunk_groups);
  const auto query_bytes = static_cast<std::uint8_t>(group_bytes * rest);
  const std::uint8_t query_rows = rest == 0 ? 0 : 16, key_bytes = rest == 0 ? 0 : 64;
  simd::tiles::configure({16, 16, 16, 16, 16, 16, query_rows, rest}, {64, 64, 64, 64, 64, 64, query_bytes, key_bytes});
}

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
