// Rows that will be read soon, fetched while others are worked on.
#pragma once

#include "nadaraya/simd/prefetch.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// A call over many short heads reads each from memory once. Fetched a few rows at a time, between products, the next head
/// comes while this one is computed; read at once, it would have to be waited for.
template <class Scalar>
class RowsAhead {
 public:
  /// Adds a matrix, three at most, to be fetched after those before it; not if it is stored in 16 bits, or so long that it
  /// would push the present head out of the second-level cache.
  void add(const View<Scalar>& rows) {
    constexpr Index most_bytes = 1 << 17;
    if (rows.data == nullptr || rows.rows * rows.cols * Index(sizeof(Scalar)) > most_bytes) return;
    views_[count_++] = rows;
  }

  /// Fetches the next of them.
  void fetch(Index rows) {
    constexpr Index line = (std::max<Index>)(1, 64 / static_cast<Index>(sizeof(Scalar)));
    for (; at_ < count_ && rows > 0; --rows) {
      const View<Scalar>& view = views_[at_];
      for (Index d = 0; d < view.cols; d += line) simd::prefetch(view.row(row_) + d);
      if (++row_ < view.rows) continue;
      row_ = 0;
      ++at_;
    }
  }

 private:
  View<Scalar> views_[3];
  std::size_t count_ = 0;
  std::size_t at_ = 0;
  Index row_ = 0;  ///< of view at_
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
