// What the ranks of a call on a cache hold: each knows it of all without being told.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/sharded/layout.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <iterator>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// As open_call, in a message of the same length for any number of ranks: rows go round from rank to rank, so that their
/// number tells where all are. Throws std::invalid_argument on all ranks if they were called with different numbers.
template <Communicator C>
Layout open_cached_call(Session<C>& session, const Brought& mine, const char* function) {
  using nadaraya::detail::require;
  const Index page = mine.positions.page;
  const Index same[] = {static_cast<Index>(mine.scalar_bytes), mine.queries, mine.cols, mine.value_cols, mine.cached, page};
  constexpr std::size_t count = std::size(same);
  // Of each number the largest and the smallest; the largest value; the status.
  std::vector<double> numbers(2 * count + 2);
  Layout layout;
  session.attempt([&] {
    require(mine.positions.first == session.rank() * page && mine.positions.stride == session.size() * page, function,
            ": the cache was made for another rank or another number of ranks");
    constexpr Index most = (std::numeric_limits<KeyIndex>::max)();
    require(mine.cached <= most && mine.queries <= most, function, ": ", mine.cached, " keys of all ranks and ", mine.queries,
            " queries; more than 2^31 - 1 of one");
    layout.positions.reserve(static_cast<std::size_t>(session.size()));
    layout.counts.reserve(static_cast<std::size_t>(session.size()));
    for (int r = 0; r < session.size(); ++r) {
      layout.positions.push_back(KeyPositions{r * page, page, session.size() * page});
      layout.counts.push_back(layout.positions.back().before(mine.cached));
    }
    for (std::size_t i = 0; i < count; ++i) {
      numbers[2 * i] = static_cast<double>(same[i]);
      numbers[2 * i + 1] = -static_cast<double>(same[i]);
    }
    numbers[2 * count] = mine.largest_value;
  });
  session.all_reduce_max(numbers);
  const char* const names[] = {"bytes of a scalar", "queries", "columns of keys", "columns of values", "rows of the cache", "rows of a page"};
  for (std::size_t i = 0; i < count; ++i) {
    require(numbers[2 * i] == -numbers[2 * i + 1], function, ": all ranks must have the same number of ", names[i], ", got ",
            -numbers[2 * i + 1], " to ", numbers[2 * i]);
  }
  layout.all = Extent{mine.queries, mine.cached};
  layout.own_queries = mine.queries;
  layout.largest_value = numbers[2 * count];
  return layout;
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
