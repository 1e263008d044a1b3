// The choice between the loops of screening, and where they pay.
#pragma once

#include "nadaraya/engine/sketch_amx.hpp"
#include "nadaraya/engine/sketch_avx2.hpp"
#include "nadaraya/engine/sketch_avx512.hpp"
#include "nadaraya/engine/sketch_loops.hpp"
#include "nadaraya/engine/sketch_vbmi2.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/simd/tier.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// work(loops) with the loops of this machine for sketches.
template <class Work>
auto with_sketch_loops(const Work& work) {
#if NADARAYA_HAS_AVX
  switch (simd::integers()) {
#if NADARAYA_HAS_AMX
    case simd::Integers::amx:
      return work(TileSketch{});
#endif
    case simd::Integers::avx512_vbmi2:
      return work(ListingByteSketch{});
    case simd::Integers::avx512_vnni:
      return work(WideByteSketch{});
    case simd::Integers::avx_vnni:
      return work(bytes::Sketch{});
    case simd::Integers::avx2:
      return work(words::Sketch{});
    default:
      break;
  }
#endif
  return work(PortableSketch<Bytes>{});
}

/// While it lives, this thread may screen by sketches of the given number of groups.
class Screen {
 public:
  explicit Screen(Index groups) {
    with_sketch_loops([&](auto loops) { loops.begin(groups); });
  }
  ~Screen() {
    with_sketch_loops([](auto loops) { loops.end(); });
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
};

/// Of fewer columns the products cost less than what surrounds them.
inline constexpr Index least_worth_cols = 16;

/// What screening takes to pay with this machine's products, as measured.
struct ScreeningNeeds {
  Index keys;            ///< at least, of a head
  double per_candidate;  ///< keys ruled out for one that has to be scored
};

/// Products of words save less of the time of floats than those of bytes.
inline ScreeningNeeds screening_needs() {
  return simd::integers() == simd::Integers::avx2 ? ScreeningNeeds{1024, 16} : ScreeningNeeds{512, 9};
}

/// True if this machine gains by screening queries with `cols` columns.
inline bool worth_screening(Index cols) { return simd::integers() != simd::Integers::plain && cols >= least_worth_cols; }

/// True if that number of queries and keys of a head gains by it. A sketch costs what scoring some dozen queries does.
inline bool worth_screening(Index queries, Index keys, Index cols) {
  return worth_screening(cols) && queries >= 32 && keys >= screening_needs().keys;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
