// The loops of screening in registers of 32 bytes: products of words, which every machine with AVX2 has, and products of
// bytes, for those with AVX-VNNI.
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

NADARAYA_TARGET(NADARAYA_AVX2)
namespace words {
namespace tier = engine::avx2;

struct Isa {
  using Codes = WordCodes;
  using Whole = simd::Vectors::Vector<std::int32_t, 32>::Type;
  static constexpr int packs = 2;

  NADARAYA_INLINE static unsigned exceeds(Whole a, Whole b) {
    return static_cast<unsigned>(_mm256_movemask_ps((__m256)_mm256_cmpgt_epi32((__m256i)a, (__m256i)b)));
  }
  NADARAYA_INLINE static Whole larger(Whole a, Whole b) { return (Whole)_mm256_max_epi32((__m256i)a, (__m256i)b); }
  NADARAYA_INLINE static Whole nearest(const Pack<float, 32>& x) { return (Whole)_mm256_cvtps_epi32(x.v); }
  NADARAYA_INLINE static Whole threshold(const Pack<float, 32>& x) { return nearest(x); }
  template <class T>
  NADARAYA_INLINE static Pack<T, 32> reals(Whole x) {
    return Pack<T, 32>(__builtin_convertvector(x, typename Pack<T, 32>::Vector));
  }
  template <class T>
  NADARAYA_INLINE static Pack<T, 32> reals(const std::int32_t* from, std::int32_t less) {
    typename simd::Vectors::Vector<std::int32_t, 4 * Pack<T, 32>::lanes>::Type some;
    std::memcpy(&some, from, sizeof some);
    return Pack<T, 32>(__builtin_convertvector(some - less, typename Pack<T, 32>::Vector));
  }
  NADARAYA_INLINE static void narrow(Whole codes, std::uint8_t* to) { _mm_storeu_si128((__m128i*)to, narrowed(codes)); }
  NADARAYA_INLINE static Whole dot(Whole sum, Whole key, Whole query) {
    return sum + (Whole)_mm256_madd_epi16((__m256i)key, (__m256i)query);
  }

 protected:
  NADARAYA_INLINE static __m128i narrowed(Whole codes) {
    return _mm_packs_epi32(_mm256_castsi256_si128((__m256i)codes), _mm256_extracti128_si256((__m256i)codes, 1));
  }
};

#include "nadaraya/quantized/loops.ipp"
}  // namespace words
NADARAYA_END_TARGET

NADARAYA_TARGET(NADARAYA_AVX2 ",avxvnni")
namespace bytes {
namespace tier = engine::avx2;

struct Isa : words::Isa {
  using Codes = ByteCodes;

  NADARAYA_INLINE static void narrow(Whole codes, std::uint8_t* to) {
    // The lowest byte of each, with a sign or without.
    const __m128i low = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, -1, -1, -1, -1, -1, -1, -1, -1);
    _mm_storeu_si128((__m128i*)to, _mm_shuffle_epi8(narrowed(codes), low));
  }
  NADARAYA_INLINE static Whole dot(Whole sum, Whole key, Whole query) {
    return (Whole)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)key, (__m256i)query);
  }
};

#include "nadaraya/quantized/loops.ipp"
}  // namespace bytes
NADARAYA_END_TARGET

}  // namespace nadaraya::engine::quantized

#endif

#include "nadaraya/detail/end_precise.hpp"
