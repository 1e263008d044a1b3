// The sizes that a mask is asked about, and the ranges of keys that it names.
#pragma once

#include "nadaraya/types.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The keys [first, last).
struct KeyRange {
  Index first = 0;  ///< The first key.
  Index last = 0;  ///< The key after the last one.
};

/// The sizes of the problem a mask is asked about.
struct Extent {
  Index queries = 0;  ///< Nq, those of the call.
  Index keys = 0;  ///< Nk, cached ones included.

  /// The key at a query's own position, when the last query is aligned with the last key. It may lie
  /// outside [0, keys).
  Index diagonal(Index query) const { return query + keys - queries; }

  /// Cuts a range to the keys there are.
  KeyRange clip(Index first, Index last) const {
    const Index begin = std::clamp<Index>(first, 0, keys);
    return KeyRange{begin, std::clamp<Index>(last, begin, keys)};
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
