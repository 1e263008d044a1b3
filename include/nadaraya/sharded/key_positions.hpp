// Where a rank's keys stand in the sequence of all keys.
#pragma once

#include "nadaraya/types.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// The positions of the keys of a rank, ascending: runs of `page` consecutive ones, `stride` apart,
///   position(j) = first + j / page * stride + j % page.
struct KeyPositions {
  Index first = 0;  ///< that of the first key
  Index page = 1;  ///< keys that follow each other, at least 1
  Index stride = 1;  ///< from one run to the next, at least `page`

  /// Keys that all follow each other.
  static KeyPositions consecutive(Index first) { return KeyPositions{first, 1, 1}; }

  /// The position of the rank's j-th key.
  Index operator[](Index j) const { return first + j / page * stride + j % page; }

  /// How many of the rank's keys, if it had any number, stand before a position.
  Index before(Index position) const {
    if (position <= first) return 0;
    const Index run = (position - first) / stride;
    return run * page + (std::min)(page, (position - first) - run * stride);
  }
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
