// Padded keys: only the first few of a query's keys are real.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mask/mask.hpp"

#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Query i sees keys [0, lengths[i]); a single length holds for all queries.
class KeyLengths {
 public:
  explicit KeyLengths(Index length) : lengths_{length} {}  ///< One length for all queries.
  explicit KeyLengths(std::vector<Index> lengths) : lengths_(std::move(lengths)) {}  ///< A length for each query.

  /// Throws std::invalid_argument unless there is one length or Nq, each between 0 and Nk.
  void validate(const Extent& n) const {
    const auto count = static_cast<Index>(lengths_.size());
    detail::require(count == 1 || count == n.queries, "KeyLengths: need one length, or one for each of ", n.queries,
                    " queries, got ", count);
    for (const Index length : lengths_) {
      detail::require(0 <= length && length <= n.keys, "KeyLengths: a length must lie between 0 and the ", n.keys,
                      " keys, got ", length);
    }
  }

  /// Keys 0 to the query's length.
  KeyRange range(Index query, const Extent& n) const {
    return n.clip(0, lengths_.size() == 1 ? lengths_.front() : lengths_[static_cast<std::size_t>(query)]);
  }

 private:
  std::vector<Index> lengths_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
