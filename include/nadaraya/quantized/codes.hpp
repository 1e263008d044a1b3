// Rows as small whole numbers: how these codes are stored, and bounds on the quantization errors.
#pragma once

#include "nadaraya/loops/packed.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstdint>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Bytes of a key that are stored together; the same bytes of the panel's other keys follow.
inline constexpr Index group_bytes = 4;

/// Queries whose sums with a panel are formed together.
inline constexpr Index screened_queries = 16;

/// Sums of products of codes, for some queries and the keys of a panel.
using PanelSums = std::int32_t[screened_queries][panel_keys];

/// Codes X of a byte or of two. Those of keys are stored as zero + X.
struct ByteCodes {
  using Key = std::uint8_t;
  using Query = std::int8_t;
  static constexpr int zero = 128;
  /// The largest |X| for rows of `cols` columns: sums of products stay below 2^30.
  static int largest(Index /*cols*/) { return 127; }
};
struct WordCodes {
  using Key = std::int16_t;
  using Query = std::int16_t;
  static constexpr int zero = 0;
  static int largest(Index cols) {
    const int most = static_cast<int>(std::sqrt(static_cast<double>((1 << 30) - 1) / static_cast<double>(cols)));
    return most < 32767 ? most : 32767;
  }
};

/// Columns of a group.
template <class Codes>
inline constexpr Index group_columns = group_bytes / static_cast<Index>(sizeof(typename Codes::Key));

/// How rows become codes; with inverse = 0 all are zeros.
template <class T>
struct Steps {
  T step{1};
  T inverse{0};
};

/// Norms, or squared norms, of the two parts of a row x = step X + residual; of several rows, the largest ones.
template <class T>
struct ResidualNorms {
  T residual{0};
  T quantized{0};  ///< of step X
};

/// Upper bounds, rounding included, on the quantization errors of a panel.
template <class T>
struct PanelErrors {
  T step{1};
  T residual{0};   ///< the largest |k - centre - step K|
  T quantized{0};  ///< the largest |step K|
  T rounding{0};   ///< of a product, per unit of the query's norm
};

/// What thresholds are set from, query by query.
template <class T>
struct QueryBounds {
  const T* centre;    ///< products with the panel's centre
  const T* floor;     ///< lowered by their rounding
  const T* norm;
  const T* residual;  ///< norms
  const T* step;
};

/// The screening thresholds of a block's queries for one panel.
template <class T>
struct ScreeningThresholds {
  std::int32_t* sum;         ///< a key with a larger sum may be a candidate
  const std::int32_t* zero;  ///< the sum that stands for a product of zero
  T* base;                   ///< lower bound on the similarity at that sum
  T* unit;                   ///< what the next sum adds to it

  ScreeningThresholds from(Index r) const { return {sum + r, zero + r, base + r, unit + r}; }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
