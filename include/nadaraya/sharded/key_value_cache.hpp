// Keys and values that are remembered from call to call, spread over ranks.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/key_value_cache.hpp"
#include "nadaraya/row_memory.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// A rank's part of a key-value cache: of the rows that all ranks append, page after page of `page` rows goes to rank 0, to
/// rank 1, ..., and round again, so that no rank holds more than a page more than another. Stored is what nadaraya::KeyValueCache
/// stores: the scalar, or 16 bits for results in float.
template <class Stored, class S = DotProduct>
class KeyValueCache {
  using Scalar = nadaraya::detail::ComputedIn<Stored>;

 public:
  /// For rank `rank` of `size`, keys [n x key_cols] and values [n x value_cols]. Throws std::invalid_argument if a number does
  /// not fit.
  KeyValueCache(int rank, int size, Index key_cols, Index value_cols, Index page = 1,
                Screening screening = Screening::automatic)
      : positions_{rank * page, page, size * page}, local_(key_cols, value_cols, screening) {
    nadaraya::detail::require(0 <= rank && rank < size && page >= 1, "sharded::KeyValueCache: rank ", rank, " of ", size,
                              " with pages of ", page, " rows");
  }

  /// Appends this rank's part of rows that every rank is given. Throws std::invalid_argument if shapes do not fit. Says
  /// nothing to other ranks.
  template <RealExpression Ke, RealExpression V>
  void append(const Ke& key, const V& value) {
    nadaraya::detail::require(key.rows() == value.rows(),
                              "sharded::KeyValueCache::append: key and value must have the same number of rows, got ",
                              nadaraya::detail::shape(key), " and ", nadaraya::detail::shape(value));
    const Index total = rows_ + key.rows();
    for (Index row = rows_; row < total;) {
      const Index page_end = (std::min)(total, (row / positions_.page + 1) * positions_.page);
      if (positions_.before(row + 1) > positions_.before(row)) {
        const Index count = page_end - row;
        local_.append(key.middleRows(row - rows_, count), value.middleRows(row - rows_, count));
        const Rows<Scalar> last = nadaraya::detail::converted<Scalar>(Rows<Stored>(local_.values().bottomRows(count)));
        largest_value_ = (std::max)(largest_value_, largest_finite(last.view()));
      }
      row = page_end;
    }
    rows_ = total;
  }

  Index rows() const { return rows_; }  ///< Those of all ranks.
  const KeyPositions& positions() const { return positions_; }  ///< Where this rank's rows stand among them.
  double largest_value() const { return largest_value_; }  ///< The largest finite |v| that this rank has appended.
  const nadaraya::KeyValueCache<Stored, S>& local() const { return local_; }  ///< This rank's rows.

 private:
  KeyPositions positions_;
  nadaraya::KeyValueCache<Stored, S> local_;
  Index rows_ = 0;
  double largest_value_ = 0;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
