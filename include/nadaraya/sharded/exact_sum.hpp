// Sums of numbers that are the same bits in whatever order they are added, so that ranks may add their parts as they like.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Adds numbers of at most `bound` in size, at most `terms` of them, on all ranks together. Each number is cut into a multiple
/// of a unit that depends on these two alone, and a multiple of a smaller unit; the rest, less than terms^2 bound / 2^100,
/// is dropped. Sums of such multiples are exact in double, and so do not depend on their order (Demmel & Nguyen,
/// "Fast reproducible floating-point summation", 2013). Numbers that are not finite are added as they are.
class SplitAddition {
 public:
  SplitAddition(double bound, double terms) {
    if (!(bound > 0) || !std::isfinite(bound)) return;
    const int count = std::ilogb(terms < 1 ? 1.0 : terms) + 1;
    // 2^k >= 2 terms bound: then x + 1.5 2^k is in the binade of 2^k, and so are all sums.
    const int k = std::ilogb(bound) + count + 2;
    if (k > 1020) return;
    high_ = std::scalbn(1.5, k);
    low_ = std::scalbn(1.5, k - 52 + count);
  }

  /// Adds x to a sum, which is high + low.
  void add(double x, double& high, double& low) const {
    if (!std::isfinite(x)) {
      high += x;
      return;
    }
    const double multiple = (x + high_) - high_;
    high += multiple;
    low += ((x - multiple) + low_) - low_;
  }

  /// Adds p_j x_j to the sums high + low of each column, for rows x_j of the given keys. Terms are finite.
  template <class Scalar>
  void add_rows(std::span<const KeyIndex> keys, const Scalar* p, const engine::View<Scalar>& x, double* high, double* low) const {
    const auto& loops = engine::loops<Scalar, engine::SplitLoops>();
    loops.add_split(keys.data(), p, static_cast<Index>(keys.size()), x.data, x.stride, x.cols, high_, low_, high, low);
  }

 private:
  double high_ = 0;
  double low_ = 0;
};

/// Adds p_j x_j to the sums of a row, which are zero, for rows x_j of the given keys; p and x may hold NaN and infinity. Rows
/// that are stored in 16 bits are widened into a buffer.
template <class Scalar>
void add_weighted_rows(const SplitAddition& addition, std::span<const KeyIndex> keys, const Scalar* p,
                       const engine::StoredRows<Scalar>& x, engine::LineVector<Scalar>& widened, double* high, double* low) {
  const Index cols = x.view().cols;
  if (x.narrow()) {
    constexpr std::size_t some = 64;
    KeyIndex places[some];
    std::iota(places, places + some, 0);
    for (std::size_t j = 0; j < keys.size(); j += some) {
      const auto part = keys.subspan(j, (std::min)(some, keys.size() - j));
      const auto rows = x.gather(part.data(), static_cast<Index>(part.size()), widened);
      addition.add_rows(std::span<const KeyIndex>(places, part.size()), p + j, rows, high, low);
    }
  } else {
    addition.add_rows(keys, p, x.view(), high, low);
  }
  const auto is_finite = [](double sum) { return nadaraya::detail::is_finite(sum); };
  if (std::all_of(high, high + cols, is_finite) && std::all_of(low, low + cols, is_finite)) return;
  std::fill_n(high, cols, 0.0);
  std::fill_n(low, cols, 0.0);
  // Column by column, each finite term by the same loop.
  for (std::size_t j = 0; j < keys.size(); ++j) {
    if (p[j] == Scalar(0)) continue;
    const Scalar* const row = x.read(keys[j], 1, widened).data;
    const KeyIndex place[] = {0};
    for (Index d = 0; d < cols; ++d) {
      const double term = static_cast<double>(p[j]) * static_cast<double>(row[d]);
      if (nadaraya::detail::is_finite(term)) {
        addition.add_rows(place, p + j, engine::View<Scalar>{row + d, 1, 1, 1}, high + d, low + d);
      } else {
        high[d] += term;
      }
    }
  }
}

/// Sums of many numbers.
template <class Scalar>
class SplitTotal {
 public:
  /// Adds numbers, which are finite, to the sum high + low.
  void add(const SplitAddition& addition, std::span<const Scalar> x, double& high, double& low) {
    // As rows of some columns, whose sums do not wait for each other.
    const std::size_t rows = x.size() / cols;
    while (rows_.size() < rows) {
      rows_.push_back(static_cast<KeyIndex>(rows_.size()));
      ones_.push_back(Scalar(1));
    }
    double highs[cols] = {}, lows[cols] = {};
    const engine::View<Scalar> view{x.data(), static_cast<Index>(rows), cols, cols};
    addition.add_rows(std::span<const KeyIndex>(rows_).first(rows), ones_.data(), view, highs, lows);
    for (std::size_t c = 0; c < cols; ++c) {
      high += highs[c];
      low += lows[c];
    }
    for (const Scalar& x_j : x.subspan(rows * cols)) addition.add(static_cast<double>(x_j), high, low);
  }

 private:
  static constexpr std::size_t cols = 32;

  std::vector<KeyIndex> rows_;  ///< 0, 1, ...
  std::vector<Scalar> ones_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
