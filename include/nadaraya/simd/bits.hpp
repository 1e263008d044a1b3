// Counting in the bits of a mask of lanes.
#pragma once

#include "nadaraya/detail/inline.hpp"

#include <cstdint>

#if !defined(__GNUC__) && !defined(__clang__)
#include <bit>
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::simd {

// Not by the standard library's functions where that can be helped: a copy compiled for one vector
// tier could be merged with the one that other machines run.

/// How many bits are set?
NADARAYA_INLINE int count_ones(unsigned mask) {
#if defined(__GNUC__) || defined(__clang__)
  return __builtin_popcount(mask);
#else
  return std::popcount(mask);
#endif
}

NADARAYA_INLINE int count_ones(std::uint64_t mask) {
#if defined(__GNUC__) || defined(__clang__)
  return __builtin_popcountll(mask);
#else
  return std::popcount(mask);
#endif
}

/// The lowest bit that is set in mask != 0.
NADARAYA_INLINE int lowest_one(unsigned mask) {
#if defined(__GNUC__) || defined(__clang__)
  return __builtin_ctz(mask);
#else
  return std::countr_zero(mask);
#endif
}

NADARAYA_INLINE int lowest_one(std::uint64_t mask) {
#if defined(__GNUC__) || defined(__clang__)
  return __builtin_ctzll(mask);
#else
  return std::countr_zero(mask);
#endif
}

/// For each mask of eight lanes those that are set, in order, and then zeros.
struct LaneLists {
  std::uint8_t of[256][8];
};

constexpr LaneLists make_lane_lists() {
  LaneLists lists{};
  for (unsigned mask = 0; mask < 256; ++mask) {
    int count = 0;
    for (unsigned lane = 0; lane < 8; ++lane) {
      if ((mask >> lane & 1u) != 0) lists.of[mask][count++] = static_cast<std::uint8_t>(lane);
    }
  }
  return lists;
}

inline constexpr LaneLists lane_lists = make_lane_lists();

}  // namespace nadaraya::simd

#include "nadaraya/detail/end_precise.hpp"
