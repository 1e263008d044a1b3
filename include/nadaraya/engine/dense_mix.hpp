// Rows of weights that are mixed as products of matrices.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/read_rows.hpp"
#include "nadaraya/loops/packed.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Mixes rows that give weight to most of the keys they see, a tile of them at a time, as one product
/// of their weights with the values. None of them gives weight to a value that is not finite.
template <class Scalar>
class DenseMix {
 public:
  DenseMix(const Head<Scalar>& head, BlockScratch<Scalar>& scratch) : head_(head), scratch_(scratch) {}

  /// Is a list of this length, from its first key to its last, worth it? Keys one by one take about
  /// twice as long as keys in a product.
  static bool worthwhile(std::span<const KeyIndex> keys) {
    return keys.size() >= 64 && 2 * static_cast<Index>(keys.size()) > keys.back() - keys.front();
  }

  void add(std::span<const KeyIndex> keys, RowView<Scalar> p, Scalar* out) {
    const Index first = keys.front();
    const Index last = Index(keys.back()) + 1;
    if (rows_ == tile_queries || (rows_ > 0 && (first < first_ || last > first_ + stride_))) flush();
    if (rows_ == 0) {
      first_ = first;
      last_ = last;
      // The next rows may reach a little further.
      stride_ = (std::min)(2 * (last - first), head_.value().rows - first);
      scratch_.dense.resize(static_cast<std::size_t>(tile_queries * stride_));
    }
    last_ = (std::max)(last_, last);
    Scalar* row = scratch_.dense.data() + rows_ * stride_;
    out_[rows_++] = out;
    if (static_cast<Index>(keys.size()) == last - first) {
      Scalar* to = std::fill_n(row, first - first_, Scalar(0));
      to = std::copy_n(p.data(), keys.size(), to);
      std::fill(to, row + stride_, Scalar(0));
      return;
    }
    std::fill(row, row + stride_, Scalar(0));
    std::size_t j = 0;
    for (; j + run <= keys.size(); j += run) {
      if (keys[j + run - 1] - keys[j] == static_cast<KeyIndex>(run - 1)) {
        std::copy_n(p.data() + j, run, row + (keys[j] - first_));
      } else {
        for (std::size_t i = j; i < j + run; ++i) row[keys[i] - first_] = p[i];
      }
    }
    for (; j < keys.size(); ++j) row[keys[j] - first_] = p[j];
  }

  void flush() {
    if (rows_ == 0) return;
    const Index cols = head_.value().cols;
    scratch_.mixed.resize(static_cast<std::size_t>(tile_queries * cols));
    if constexpr (vectorized<Scalar>) {
      weigh_values(head_, rows_, scratch_.dense.data(), stride_, first_, last_ - first_, scratch_.mixed.data(), cols, scratch_);
    }
    for (Index i = 0; i < rows_; ++i) std::copy_n(scratch_.mixed.data() + i * cols, cols, out_[i]);
    rows_ = 0;
  }

 private:
  /// Consecutive keys that are worth looking out for.
  static constexpr std::size_t run = 16;

  const Head<Scalar>& head_;
  BlockScratch<Scalar>& scratch_;
  Scalar* out_[tile_queries] = {};
  Index rows_ = 0;
  Index first_ = 0;
  Index last_ = 0;
  Index stride_ = 0;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
