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

/// Queries per block. The keys of a panel pass from the first-level cache over all of them before the next panel is
/// fetched.
inline constexpr Index block_queries = 96;
/// Queries per tile of the product loop.
inline constexpr Index tile_queries = 6;
static_assert(panel_keys == 64 && tile_queries == 6 && block_queries % tile_queries == 0,
              "the loop candidates takes six queries and a panel of 64 keys, a bit for each");

/// How many blocks some queries make.
inline Index block_count(Index queries) { return (queries + block_queries - 1) / block_queries; }

/// The queries of a block.
struct QueryRange {
  Index first = 0;
  Index count = 0;
};

inline QueryRange block_range(Index block, Index queries) {
  const Index first = block * block_queries;
  return QueryRange{first, (std::min)(block_queries, queries - first)};
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
