// What the ranks of a call on a cache hold: each knows it of all without being told, so that the first message of the call need
// only tell whether they agree.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/sharded/layout.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <limits>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Where the keys of all ranks are: rows go round from rank to rank, so that their number tells. Without the largest value.
/// Throws std::invalid_argument where the cache is not one of this rank's, or too long.
inline Layout cached_layout(int rank, int ranks, const Brought& mine, const char* function) {
  using nadaraya::detail::require;
  const Index page = mine.positions.page;
  require(mine.positions.first == rank * page && mine.positions.stride == ranks * page, function,
          ": the cache was made for another rank or another number of ranks");
  constexpr Index most = (std::numeric_limits<KeyIndex>::max)();
  require(mine.cached <= most && mine.queries <= most, function, ": ", mine.cached, " keys of all ranks and ", mine.queries,
          " queries; more than 2^31 - 1 of one");
  Layout layout;
  for (int r = 0; r < ranks; ++r) {
    layout.positions.push_back(KeyPositions{r * page, page, ranks * page});
    layout.counts.push_back(layout.positions.back().before(mine.cached));
  }
  layout.all = Extent{mine.queries, mine.cached};
  layout.own_queries = mine.queries;
  return layout;
}

/// What the ranks of a call on a cache must have in common. It rides on the first maxima that they take together, in a message of
/// the same length for any operands: ranks that were called with different ones get as far as that, and all throw.
class CachedOpening {
 public:
  static constexpr std::size_t riders = 33;  ///< numbers that ride along: what ranks tell of 16 queries (RowFloors), and one more

  /// Of a rank without operands: it agrees with no other. `largest_value` becomes that of all ranks.
  CachedOpening(double& largest_value, const char* function) : largest_value_(&largest_value), function_(function) {}

  /// The operands of the rank.
  void bring(const Brought& mine) {
    const Index same[] = {static_cast<Index>(mine.scalar_bytes), mine.queries, mine.cols, mine.value_cols, mine.cached,
                          mine.positions.page};
    for (std::size_t i = 0; i < count; ++i) {
      numbers_[2 * i] = static_cast<double>(same[i]);
      numbers_[2 * i + 1] = -static_cast<double>(same[i]);
    }
    numbers_[2 * count] = mine.largest_value;
  }

  /// As Session::all_reduce_max. Throws std::invalid_argument on all ranks if their operands differ.
  template <Communicator C, class Scalar>
  void all_reduce_max(Session<C>& session, std::span<Scalar> numbers) {
    const std::size_t n = numbers.size() - 1;
    if (!done_ && n <= riders) {
      std::copy_n(numbers.begin(), n, numbers_.begin() + first_rider);
      agree(session);
      for (std::size_t i = 0; i < n; ++i) numbers[i] = static_cast<Scalar>(numbers_[first_rider + i]);
      return;
    }
    if (!done_) agree(session);
    session.all_reduce_max(numbers);
  }

  /// Compares the operands in a message of its own, unless that is done.
  template <Communicator C>
  void finish(Session<C>& session) {
    if (!done_) agree(session);
  }

 private:
  static constexpr std::size_t count = 6;  ///< of numbers that are to be the same: of each the largest, and the smallest
  static constexpr std::size_t first_rider = 2 * count + 1;  ///< after the largest value

  template <Communicator C>
  void agree(Session<C>& session) {
    session.all_reduce_max(std::span<double>(numbers_));
    done_ = true;
    const char* const names[] = {"bytes of a scalar", "queries", "columns of keys", "columns of values", "rows of the cache",
                                 "rows of a page"};
    static_assert(std::size(names) == count);
    for (std::size_t i = 0; i < count; ++i) {
      nadaraya::detail::require(numbers_[2 * i] == -numbers_[2 * i + 1], function_, ": all ranks must have the same number of ",
                                names[i], ", got ", -numbers_[2 * i + 1], " to ", numbers_[2 * i]);
    }
    *largest_value_ = numbers_[2 * count];
  }

  double* largest_value_;
  const char* function_;
  bool done_ = false;
  std::array<double, first_rider + riders + 1> numbers_{};
};

/// The largest of each number over the ranks, but for the last, which is for the status; with an opening unless it is null.
template <Communicator C, class Scalar>
void largest_of_all(Session<C>& session, CachedOpening* opening, std::span<Scalar> numbers) {
  if (opening != nullptr) return opening->all_reduce_max(session, numbers);
  session.all_reduce_max(numbers);
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
