// What the tests of packs share: every width, of lanes in arrays and of the compiler's vectors.
#pragma once

#include <nadaraya/simd/pack.hpp>

#include <cstddef>

namespace nadaraya::test {

template <class T, class Lanes, class Work>
void with_lanes(const Work& work, const char* name) {
  work(simd::Pack<T, sizeof(T), Lanes>(T(0)), name);
  work(simd::Pack<T, 2 * sizeof(T), Lanes>(T(0)), name);
  work(simd::Pack<T, 4 * sizeof(T), Lanes>(T(0)), name);
  work(simd::Pack<T, 8 * sizeof(T), Lanes>(T(0)), name);
  work(simd::Pack<T, 16 * sizeof(T), Lanes>(T(0)), name);
}

/// work(pack, name) for packs of 1, 2, 4, 8 and 16 lanes.
template <class T, class Work>
void with_every_pack(const Work& work) {
  with_lanes<T, simd::Arrays>(work, "array");
#if NADARAYA_HAS_VECTORS
  with_lanes<T, simd::Vectors>(work, "vector");
#endif
}

}  // namespace nadaraya::test
