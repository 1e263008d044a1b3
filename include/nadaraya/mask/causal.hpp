// Masks of a sequence that looks back: causal, strictly causal, and a sliding window.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mask/mask.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Key j is visible to query i iff j <= i + (keys - queries): the last query sees every key.
struct Causal {
  /// Keys 0 to the query's own position.
  KeyRange range(Index query, const Extent& n) const { return n.clip(0, n.diagonal(query) + 1); }
};

/// Key j is visible to query i iff j < i + (keys - queries): no query sees its own place.
struct StrictlyCausal {
  /// Keys before the query's own position.
  KeyRange range(Index query, const Extent& n) const { return n.clip(0, n.diagonal(query)); }
};

/// The last `window` keys up to the query's own place:
/// i + (keys - queries) - window < j <= i + (keys - queries).
struct SlidingWindow {
  Index window = 1;  ///< how many keys a query sees at most, its own position included

  /// Throws std::invalid_argument if window < 1.
  void validate(const Extent&) const {
    detail::require(window >= 1, "SlidingWindow: window must be at least 1, got ", window);
  }

  /// Formed without adding to a window that may be as large as Index goes.
  KeyRange range(Index query, const Extent& n) const {
    const Index last = n.diagonal(query);
    return n.clip(last < window ? 0 : last - window + 1, last + 1);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
