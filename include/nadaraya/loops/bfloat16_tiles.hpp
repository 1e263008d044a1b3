// Products of bfloat16 by tiles (AMX-BF16): those of two numbers are exact and summed in float. Numbers and products
// below 2^-126 in size count as zero.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/loops/tiers.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/simd/target.hpp"
#include "nadaraya/simd/tiles.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>

#if NADARAYA_HAS_AMX
#include <immintrin.h>
#endif

#include "nadaraya/detail/precise.hpp"

#if NADARAYA_HAS_AMX

namespace nadaraya::engine::bfloat16_tiles {

/// A tile has 16 rows of 16 words; a word is a float, or two numbers of which the products with two others are summed.
inline constexpr Index tile_rows = 16;
inline constexpr Index tile_words = 16;
inline constexpr Index tile_numbers = 2 * tile_words;
inline constexpr Index row_bytes = tile_words * Index(sizeof(float));

/// While it lives, this thread's tiles are for as many queries: 0 to 3 are sums of two tiles of queries and two of
/// words; 4 and 5 hold numbers of the queries, 6 and 7 the words that these are multiplied with.
class Configuration {
 public:
  explicit Configuration(Index queries) {
    const auto rows = static_cast<std::uint8_t>(queries < tile_rows ? queries : tile_rows);
    simd::tiles::configure({rows, rows, rows, rows, rows, rows, 16, 16}, {64, 64, 64, 64, 64, 64, 64, 64});
  }
  ~Configuration() { simd::tiles::release(); }
  Configuration(const Configuration&) = delete;
  Configuration& operator=(const Configuration&) = delete;
};

/// Rows in memory, `stride` elements apart.
template <class T>
struct TileRows {
  T* data;
  Index stride;

  Index bytes() const { return stride * Index(sizeof(T)); }
  T* row(Index i) const { return data + i * stride; }
};

NADARAYA_TARGET(NADARAYA_AVX512 ",amx-tile,amx-bf16")

/// Sum += A B
template <int Sum, int A, int B>
NADARAYA_INLINE void add_product() {
  __asm__ volatile("{tdpbf16ps\t%%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbf16ps\ttmm%c0, tmm%c1, tmm%c2}"
                   :
                   : "i"(Sum), "i"(A), "i"(B));
}

NADARAYA_INLINE void clear_sums() {
  simd::tiles::zero<0>();
  simd::tiles::zero<1>();
  simd::tiles::zero<2>();
  simd::tiles::zero<3>();
}

/// Stores the sums of a tile of queries, or of two.
NADARAYA_INLINE void store_sums(bool two, const TileRows<float>& to) {
  simd::tiles::store<0>(to.data, to.bytes());
  simd::tiles::store<1>(to.data + tile_words, to.bytes());
  if (!two) return;
  simd::tiles::store<2>(to.row(tile_rows), to.bytes());
  simd::tiles::store<3>(to.row(tile_rows) + tile_words, to.bytes());
}

/// Adds the products of numbers of a tile of queries, or of two, with the words in tiles 6 and 7.
template <class T>
NADARAYA_INLINE void add_products(bool two, const TileRows<T>& numbers) {
  simd::tiles::load<4>(numbers.data, numbers.bytes());
  add_product<0, 4, 6>();
  add_product<1, 4, 7>();
  if (!two) return;
  simd::tiles::load<5>(numbers.row(tile_rows), numbers.bytes());
  add_product<2, 5, 6>();
  add_product<3, 5, 7>();
}

/// z[i][j] = query i . key j, for a tile of queries, or two, and 32 keys, over `steps` times 32 components. Rows of
/// keys are words of two components each of all keys.
inline void score(bool two, const TileRows<const std::uint16_t>& queries, const TileRows<const float>& keys,
                  Index steps, const TileRows<float>& z) {
  clear_sums();
  for (Index s = 0; s < steps; ++s) {
    const float* const words = keys.row(s * tile_rows);
    simd::tiles::load<6>(words, keys.bytes());
    simd::tiles::load<7>(words + tile_words, keys.bytes());
    add_products(two, TileRows<const std::uint16_t>{queries.data + s * tile_numbers, queries.stride});
  }
  store_sums(two, z);
}

/// sum[i][c] = sum_j p[i][j] value[j][c], for a tile of queries, or two, `steps` times 32 keys, and 32 columns. Weights
/// come from split(), values from interleave().
inline void weigh(bool two, const TileRows<const float>& weights, Index steps, const TileRows<const float>& values,
                  const TileRows<float>& sum) {
  clear_sums();
  for (Index s = 0; s < steps; ++s) {
    const float* const words = values.row(s * tile_rows);
    simd::tiles::load<6>(words, values.bytes());
    simd::tiles::load<7>(words + tile_words, values.bytes());
    const float* const high = weights.data + s * tile_numbers;
    add_products(two, TileRows<const float>{high, weights.stride});
    add_products(two, TileRows<const float>{high + tile_words, weights.stride});
  }
  store_sums(two, sum);
}

/// The lanes of the first `count` of 16 numbers.
NADARAYA_INLINE __mmask16 first_of_16(Index count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffffu : count <= 0 ? 0u : (1u << count) - 1u);
}

/// Replaces n weights of each of some rows by sums of two bfloat16, which miss it by at most 2^-17 of it: 32 weights
/// become the 32 bfloat16 that are nearest to them, then those nearest to the remainder, in which numbers j and j + 16
/// share a word. n is filled up with zeros.
inline void split(const TileRows<float>& p, Index rows, Index n) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u)), half = _mm512_set1_epi32(0x8000);
  constexpr int select = 0xca;  // the second where the first is set, the third elsewhere
  // A carry goes into the exponent as it should.
  const auto rounded = [&](__m512 x) { return _mm512_add_epi32(_mm512_castps_si512(x), half); };
  const auto rest = [&](__m512 x, __m512i nearest) {
    return _mm512_sub_ps(x, _mm512_castsi512_ps(_mm512_and_si512(nearest, upper)));
  };
  const auto paired = [&](__m512i low, __m512i high) {
    return _mm512_ternarylogic_epi32(upper, high, _mm512_srli_epi32(low, 16), select);
  };
  for (Index i = 0; i < rows; ++i) {
    float* at = p.row(i);
    for (Index left = n; left > 0; left -= tile_numbers, at += tile_numbers) {
      const __m512 low = _mm512_maskz_loadu_ps(first_of_16(left), at);
      const __m512 high = _mm512_maskz_loadu_ps(first_of_16(left - 16), at + 16);
      const __m512i nearest_low = rounded(low), nearest_high = rounded(high);
      _mm512_storeu_si512(at, paired(nearest_low, nearest_high));
      _mm512_storeu_si512(at + 16, paired(rounded(rest(low, nearest_low)), rounded(rest(high, nearest_high))));
    }
  }
}

/// Writes rows two by two, j of 32 with j + 16: words of the numbers of both, over `words` columns, a multiple of 16,
/// up to which these are filled up with zeros, as rows are up to a multiple of 32.
inline void interleave(const TileRows<const std::uint16_t>& rows, Index count, Index cols, float* to, Index words) {
  for (Index first = 0; first < count; first += tile_numbers) {
    for (Index j = first; j < first + tile_rows; ++j, to += words) {
      const std::uint16_t* const low = rows.row(j);
      const std::uint16_t* const high = rows.row(j + tile_rows);
      const unsigned present = (j < count ? 0xffffu : 0u), present_high = (j + tile_rows < count ? 0xffffu : 0u);
      for (Index c = 0; c < words; c += tile_words) {
        const unsigned lanes = first_of_16(cols - c);
        const __m256i a = _mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes & present), low + c);
        const __m256i b = _mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes & present_high), high + c);
        _mm512_storeu_si512(to + c,
                            _mm512_or_si512(_mm512_cvtepu16_epi32(a), _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16)));
      }
    }
  }
}

/// Writes rows column by column: word w of row i, which is of two numbers, to to[64 w + i], for up to 64 rows and
/// `words` words, a multiple of 16, up to which columns are filled up with zeros, as rows are up to 64.
inline void transpose(const TileRows<const std::uint16_t>& rows, Index count, Index cols, float* to, Index words) {
  constexpr Index panel = 4 * tile_rows;
  for (Index w = 0; w < words; w += tile_words, to += tile_words * panel) {
    const Index left = cols - 2 * w;
    const auto lanes = static_cast<__mmask32>(left >= 32 ? 0xffffffffu : (1u << left) - 1u);
    for (Index first = 0; first < panel; first += tile_rows) {
      avx512::PackOf<float> tile[tile_rows];
#pragma GCC unroll 16
      for (Index i = 0; i < tile_rows; ++i) {
        const __mmask32 present = first + i < count ? lanes : __mmask32(0);
        tile[i].v = _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(present, rows.row(first + i) + 2 * w));
      }
      avx512::exchange_from<1>(tile);
#pragma GCC unroll 16
      for (Index i = 0; i < tile_rows; ++i) avx512::store(to + i * panel + first, tile[i]);
    }
  }
}

/// Adds rows of sums to others, the first `cols` of 32 columns.
inline void add_rows(const TileRows<const float>& sums, Index rows, Index cols, const TileRows<float>& to) {
  const __mmask16 first = first_of_16(cols), second = first_of_16(cols - 16);
  for (Index i = 0; i < rows; ++i) {
    float* const row = to.row(i);
    const float* const sum = sums.row(i);
    _mm512_mask_storeu_ps(row, first, _mm512_add_ps(_mm512_maskz_loadu_ps(first, row), _mm512_loadu_ps(sum)));
    _mm512_mask_storeu_ps(row + 16, second,
                          _mm512_add_ps(_mm512_maskz_loadu_ps(second, row + 16), _mm512_loadu_ps(sum + 16)));
  }
}

NADARAYA_END_TARGET

}  // namespace nadaraya::engine::bfloat16_tiles

#endif

#include "nadaraya/detail/end_precise.hpp"
