// The loops of screening in registers of 64 bytes, for machines with products of bytes in these (AVX-512 VNNI).
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/loops/portable.hpp"
#include "nadaraya/loops/tiers.hpp"
#include "nadaraya/quantized/codes.hpp"
#include "nadaraya/simd/bits.hpp"
#include "nadaraya/simd/pack.hpp"
#include "nadaraya/simd/target.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>
#include <cstring>
#include <limits>

#if NADARAYA_HAS_AVX

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine::quantized {

NADARAYA_TARGET(NADARAYA_AVX512 ",avx512vnni")
namespace wide {
namespace tier = engine::avx512;

struct Isa {
  using Codes = ByteCodes;
  using Whole = simd::Vectors::Vector<std::int32_t, 64>::Type;
  static constexpr int packs = 4;

  NADARAYA_INLINE static unsigned exceeds(Whole a, Whole b) { return _mm512_cmpgt_epi32_mask((__m512i)a, (__m512i)b); }
  NADARAYA_INLINE static Whole larger(Whole a, Whole b) { return (Whole)_mm512_maskz_max_epi32(0xffff, (__m512i)a, (__m512i)b); }
  NADARAYA_INLINE static Whole nearest(const Pack<float, 64>& x) { return (Whole)_mm512_maskz_cvtps_epi32(0xffff, x.v); }
  NADARAYA_INLINE static Whole threshold(const Pack<float, 64>& x) { return nearest(x); }
  template <class T>
  NADARAYA_INLINE static Pack<T, 64> reals(Whole x) {
    return Pack<T, 64>(__builtin_convertvector(x, typename Pack<T, 64>::Vector));
  }
  template <class T>
  NADARAYA_INLINE static Pack<T, 64> reals(const std::int32_t* from, std::int32_t less) {
    typename simd::Vectors::Vector<std::int32_t, 4 * Pack<T, 64>::lanes>::Type some;
    std::memcpy(&some, from, sizeof some);
    return Pack<T, 64>(__builtin_convertvector(some - less, typename Pack<T, 64>::Vector));
  }
  NADARAYA_INLINE static void narrow(Whole codes, std::uint8_t* to) {
    _mm_storeu_si128((__m128i*)to, _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)codes));
  }
  NADARAYA_INLINE static Whole dot(Whole sum, Whole key, Whole query) {
    return (Whole)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)key, (__m512i)query);
  }
};

#include "nadaraya/quantized/loops.ipp"
}  // namespace wide
NADARAYA_END_TARGET

NADARAYA_TARGET(NADARAYA_AVX512 ",avx512vnni,avx512vbmi2")
namespace wide {

/// With AVX-512 VBMI2, keys are picked out of a panel sixteen at a time.
struct ListingLoops : Loops<Isa> {
  template <class T>
  static void list(const PanelSums& sums, unsigned found, const ScreeningThresholds<T>& at, KeyIndex first, Candidates<T>* to) {
    for (; found != 0; found &= found - 1) {
      const int i = simd::lowest_one(found);
      const std::uint64_t keys = above(sums[i], at.sum[i]) & to[i].visible;
      const int count = simd::count_ones(keys);
      const __m512i sum[4] = {_mm512_load_si512(sums[i]), _mm512_load_si512(sums[i] + 16), _mm512_load_si512(sums[i] + 32),
                              _mm512_load_si512(sums[i] + 48)};
      __m512i places = _mm512_maskz_compress_epi8(keys, _mm512_loadu_si512(numbers));
      for (int done = 0; done < count; done += 16) {
        const __m512i place = _mm512_maskz_cvtepu8_epi32(0xffff, _mm512_maskz_extracti32x4_epi32(0xf, places, 0));
        places = _mm512_maskz_shuffle_i32x4(0xffff, places, places, 0x39);  // the next sixteen
        const __m512i in_low = _mm512_permutex2var_epi32(sum[0], place, sum[1]);
        const __m512i in_high = _mm512_permutex2var_epi32(sum[2], place, sum[3]);
        const __m512i picked = _mm512_mask_mov_epi32(in_low, _mm512_test_epi32_mask(place, _mm512_set1_epi32(32)), in_high);
        alignas(64) std::int32_t some[16];
        _mm512_store_si512(some, picked);
        for (Index j = 0; j < 16; j += tier::lanes<T>) {
          const auto product = Isa::reals<T>(some + j, at.zero[i]);
          tier::store(to[i].z + done + j, tier::fma(product, tier::broadcast(at.unit[i]), tier::broadcast(at.base[i])));
        }
        _mm512_storeu_si512(to[i].key + done, _mm512_add_epi32(place, _mm512_set1_epi32(static_cast<int>(first))));
      }
      to[i].z += count;
      to[i].key += count;
    }
  }

 private:
  static constexpr std::uint8_t numbers[64] = {
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
      16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
      32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
      48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
  };
};
}  // namespace wide
NADARAYA_END_TARGET

}  // namespace nadaraya::engine::quantized

#endif

#include "nadaraya/detail/end_precise.hpp"
