// The loops of screening that this machine runs, chosen once.
#pragma once

#include "nadaraya/loops/portable.hpp"
#include "nadaraya/quantized/amx.hpp"
#include "nadaraya/quantized/avx2.hpp"
#include "nadaraya/quantized/avx512.hpp"
#include "nadaraya/quantized/codes.hpp"
#include "nadaraya/quantized/scalar.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/simd/int_dot_isa.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The loops of quantized/loops.ipp for rows of T, which is float or double.
template <class T>
struct QuantizedLoops {
  Index group_columns;
  std::uint8_t zero;  ///< the byte that codes of zero are made of
  int (*largest_code)(Index cols);
  ResidualNorms<T> (*quantize_keys)(const T* x, Index stride, Index n, Index cols, const T* centre, Steps<T> by,
                                    std::uint8_t* codes);
  ResidualNorms<T> (*quantize_query)(const T* x, Index cols, Steps<T> by, std::uint8_t* codes, std::int32_t& zero);
  bool (*set_thresholds)(const PanelErrors<T>& panel, const QueryBounds<T>& from, Index n, const ScreeningThresholds<T>& to,
                         std::uint16_t* reached);
  unsigned (*find)(Index n, unsigned reached, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                   const std::int32_t* threshold, PanelSums& sums);
  void (*list)(const PanelSums& sums, unsigned found, const ScreeningThresholds<T>& at, KeyIndex first, Candidates<T>* to);
};

namespace quantized {

/// Those that depend on the codes from one body, the others from any of the same target. Rows of double are prepared one
/// number at a time.
template <class T, class Coded, class Common>
QuantizedLoops<T> table_of() {
  using Codes = typename Coded::Codes;
  using OneByOne = scalar::Loops<scalar::Isa<Codes>>;
  using Rows = std::conditional_t<std::is_same_v<T, float>, Coded, OneByOne>;
  using Thresholds = std::conditional_t<std::is_same_v<T, float>, Common, OneByOne>;
  return {group_columns<Codes>, static_cast<std::uint8_t>(Codes::zero), Codes::largest,
          Rows::template quantize_keys<T>, Rows::template quantize_query<T>, Thresholds::template set_thresholds<T>,
          Coded::find, Common::template list<T>};
}

template <class T>
QuantizedLoops<T> best_table() {
#if NADARAYA_HAS_AVX
  using Wide = wide::Loops<wide::Isa>;
  using Words = words::Loops<words::Isa>;
  switch (simd::int_dot_isa()) {
    case simd::IntDotIsa::amx: {
      QuantizedLoops<T> table = table_of<T, Wide, wide::ListingLoops>();
#if NADARAYA_HAS_AMX
      table.find = tiles::find;
#endif
      return table;
    }
    case simd::IntDotIsa::avx512_vbmi2:
      return table_of<T, Wide, wide::ListingLoops>();
    case simd::IntDotIsa::avx512_vnni:
      return table_of<T, Wide, Wide>();
    case simd::IntDotIsa::avx_vnni:
      return table_of<T, bytes::Loops<bytes::Isa>, Words>();
    case simd::IntDotIsa::avx2:
      return table_of<T, Words, Words>();
    default:
      break;
  }
#endif
  using Portable = scalar::Loops<scalar::Isa<ByteCodes>>;
  return table_of<T, Portable, Portable>();
}

}  // namespace quantized

template <class T>
const QuantizedLoops<T>& quantized_loops() {
  static const QuantizedLoops<T> chosen = quantized::best_table<T>();
  return chosen;
}

/// While it lives, this thread's tile registers (AMX) have the shapes for keys of that many groups; elsewhere it does nothing.
class TileConfig {
 public:
  explicit TileConfig([[maybe_unused]] Index groups) {
#if NADARAYA_HAS_AMX
    if (simd::int_dot_isa() == simd::IntDotIsa::amx) quantized::tiles::configure(groups);
#endif
  }
  ~TileConfig() {
#if NADARAYA_HAS_AMX
    if (simd::int_dot_isa() == simd::IntDotIsa::amx) quantized::tiles::release();
#endif
  }
  TileConfig(const TileConfig&) = delete;
  TileConfig& operator=(const TileConfig&) = delete;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
