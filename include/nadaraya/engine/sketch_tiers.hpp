// The choice between the loops of screening.
#pragma once

#include "nadaraya/engine/sketch_avx2.hpp"
#include "nadaraya/engine/sketch_avx512.hpp"
#include "nadaraya/engine/sketch_loops.hpp"
#include "nadaraya/simd/tier.hpp"

namespace nadaraya::engine {

/// work(loops) with the loops of this machine for sketches.
template <class Work>
auto with_sketch_loops(const Work& work) {
#if NADARAYA_HAS_AVX
  switch (simd::integers()) {
    case simd::Integers::amx:
      return work(TileSketch{});
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

/// While it lives, this thread may screen by sketches of so many groups.
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

}  // namespace nadaraya::engine
