// Blocks of queries: the unit of parallel work.
#pragma once

#include "nadaraya/types.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Keys per panel: 16 KiB of floats at D = 64, half of a first-level cache.
inline constexpr Index panel_keys = 64;

/// The first key of the panel that a key lies in.
inline Index panel_begin(Index key) { return key / panel_keys * panel_keys; }

/// Queries per block, at most. The keys of a panel pass from the first-level cache over all of them before the next panel
/// is fetched.
inline constexpr Index block_queries = 96;
/// Queries of a block whose thresholds are found together, and whose bytes make a tile where there are tiles (AMX).
inline constexpr Index block_step = 16;
/// Queries per tile of the product loop.
inline constexpr Index tile_queries = 6;
static_assert(panel_keys == 64 && tile_queries == 6 && block_queries % tile_queries == 0 && block_queries % block_step == 0,
              "the loop candidates takes six queries and a panel of 64 keys, a bit for each");

// Queries are cut into as few blocks as there can be, which differ by one step at most: where threads have a block each, the
// longest is the time of the call. The cut depends on nothing but the number of queries, and so does the order of sums.

/// How many steps some queries make, and how many blocks.
inline Index step_count(Index queries) { return (queries + block_step - 1) / block_step; }
inline Index block_count(Index queries) { return (queries + block_queries - 1) / block_queries; }

/// The first query of a block.
inline Index block_begin(Index block, Index queries) {
  return block * step_count(queries) / block_count(queries) * block_step;
}

/// The block that a query lies in.
inline Index block_of(Index query, Index queries) {
  return ((query / block_step + 1) * block_count(queries) - 1) / step_count(queries);
}

/// The queries of a block.
struct QueryRange {
  Index first = 0;
  Index count = 0;
};

inline QueryRange block_range(Index block, Index queries) {
  const Index first = block_begin(block, queries);
  return QueryRange{first, (std::min)(block_begin(block + 1, queries), queries) - first};
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
