// Tile registers (AMX): eight matrices of up to sixteen rows of up to 64 bytes.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/simd/target.hpp"

#include <cstddef>
#include <cstdint>

#if NADARAYA_HAS_AMX
#include <immintrin.h>
#endif

#include "nadaraya/detail/precise.hpp"

#if NADARAYA_HAS_AMX

namespace nadaraya::simd {

NADARAYA_TARGET(NADARAYA_AVX512 ",amx-tile")
namespace tiles {

// The numbers of tiles are part of the instructions, and of the compilers' own functions only literals are taken for
// these.
template <int Tile>
NADARAYA_INLINE void zero() {
  __asm__ volatile("{tilezero\t%%tmm%c0|tilezero\ttmm%c0}" : : "i"(Tile));
}
/// Rows are `stride` bytes apart.
template <int Tile>
NADARAYA_INLINE void load(const void* from, std::ptrdiff_t stride) {
  __asm__ volatile("{tileloadd\t(%0,%1,1), %%tmm%c2|tileloadd\ttmm%c2, [%0+%1*1]}"
                   :
                   : "r"(from), "r"(stride), "i"(Tile)
                   : "memory");
}
template <int Tile>
NADARAYA_INLINE void store(void* to, std::ptrdiff_t stride) {
  __asm__ volatile("{tilestored\t%%tmm%c2, (%0,%1,1)|tilestored\t[%0+%1*1], tmm%c2}"
                   :
                   : "r"(to), "r"(stride), "i"(Tile)
                   : "memory");
}

/// Gives the thread's tiles their shapes, until release().
inline void configure(const std::uint8_t (&rows)[8], const std::uint8_t (&row_bytes)[8]) {
  alignas(64) std::uint8_t config[64] = {};
  config[0] = 1;  // the palette
  for (int tile = 0; tile < 8; ++tile) {
    config[16 + 2 * tile] = row_bytes[tile];
    config[48 + tile] = rows[tile];
  }
  // Compilers do not know that all of it is read.
  __asm__ volatile("" : : "r"(config) : "memory");
  _tile_loadconfig(config);
}

inline void release() { _tile_release(); }

}  // namespace tiles
NADARAYA_END_TARGET

}  // namespace nadaraya::simd

#endif

#include "nadaraya/detail/end_precise.hpp"
