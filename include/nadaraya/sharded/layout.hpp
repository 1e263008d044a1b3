// What the ranks of a call hold: shapes, positions, and whether they fit.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Which function a rank has called.
enum class Call : std::int64_t { regress, regress_cached, forward, prefill, backward, fit, predict };

/// What a rank brings to a call.
struct Brought {
  Call call = Call::regress;
  std::int64_t scalar_bytes = 0;
  Index queries = 0;
  Index cols = 0;  ///< D
  Index keys = 0;
  Index value_cols = 0;  ///< Dv
  KeyPositions positions{};  ///< of a cache
  Index cached = 0;  ///< rows of all ranks, as a cache knows them
  double largest_value = 0;  ///< the largest finite |v|
};

/// What all of them do.
struct Layout {
  std::vector<KeyPositions> positions;  ///< of each rank's keys
  std::vector<Index> counts;  ///< of each rank's keys
  Extent all;  ///< of all ranks
  Index first_query = 0;  ///< the first of those whose output this rank has
  Index own_queries = 0;
  std::vector<Index> query_ends;  ///< where the queries of each rank end; empty if all ranks have all
  double largest_value = 0;

  /// Does a rank get the output of a query?
  bool has_query(int rank, Index query) const {
    if (query_ends.empty()) return true;
    const auto r = static_cast<std::size_t>(rank);
    return query < query_ends[r] && (r == 0 || query >= query_ends[r - 1]);
  }
  /// The rank that has a key; to be asked for keys in ascending order, with the last answer.
  int owner(Index key, int last) const {
    const auto ranks = static_cast<int>(counts.size());
    for (int i = 0; i < ranks; ++i) {
      const int r = (last + i) % ranks;
      if (local(key, r) >= 0) return r;
    }
    return 0;
  }
  /// Which of a rank's keys a key is; -1 if it is none.
  Index local(Index key, int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    const Index j = positions[r].before(key);
    return j < counts[r] && positions[r][j] == key ? j : Index(-1);
  }
};

/// Exchanges what ranks have brought; throws std::invalid_argument on all if it does not fit together.
template <Communicator C>
Layout open_call(Session<C>& session, const Brought& mine, const char* function) {
  using nadaraya::detail::require;
  Message message;
  Gathered all;
  Layout layout;
  session.attempt([&] {
    message.add(mine);
    layout.positions.reserve(static_cast<std::size_t>(session.size()));
    layout.counts.reserve(static_cast<std::size_t>(session.size()));
    layout.query_ends.reserve(static_cast<std::size_t>(session.size()));
  });
  session.all_gather(message, all);
  // From here on nothing differs between ranks, nor is memory needed: all throw, or none.
  const auto brought = [&](int r) { return MessageReader(all.of(r)).template read<Brought>(); };
  const Brought first = brought(0);
  const bool own_queries = mine.call == Call::prefill;
  for (int r = 0; r < session.size(); ++r) {
    const Brought one = brought(r);
    require(one.call == first.call && one.scalar_bytes == first.scalar_bytes, "sharded: ranks 0 and ", r,
            " call different functions, or with different scalars");
    require(own_queries || one.queries == first.queries, function, ": all ranks must have the same queries, got ",
            first.queries, " on rank 0 and ", one.queries, " on rank ", r);
    require(one.cols == first.cols && one.value_cols == first.value_cols, function, ": ranks 0 and ", r, " have keys of ",
            first.cols, " and ", one.cols, " columns, and values of ", first.value_cols, " and ", one.value_cols);
    require(one.cached == first.cached, function, ": ranks 0 and ", r, " have appended ", first.cached, " and ", one.cached,
            " rows to the cache");
    if (r == session.rank()) {
      layout.first_query = own_queries ? layout.all.queries : Index(0);
      layout.own_queries = one.queries;
    }
    layout.positions.push_back(mine.call == Call::regress_cached ? one.positions : KeyPositions::consecutive(layout.all.keys));
    layout.counts.push_back(one.keys);
    layout.all.keys += one.keys;
    layout.all.queries = own_queries ? layout.all.queries + one.queries : one.queries;
    if (own_queries) layout.query_ends.push_back(layout.all.queries);
    layout.largest_value = (std::max)(layout.largest_value, one.largest_value);
  }
  constexpr Index most = (std::numeric_limits<KeyIndex>::max)();
  require(layout.all.keys <= most && layout.all.queries <= most, function, ": ", layout.all.keys, " keys and ",
          layout.all.queries, " queries of all ranks; more than 2^31 - 1 of one");
  return layout;
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
