// Blocks of queries, the unit of parallel work, and the memory that one of them needs.
#pragma once

#include "nadaraya/engine/buffer.hpp"
#include "nadaraya/engine/near_rows.hpp"
#include "nadaraya/engine/packed.hpp"
#include "nadaraya/engine/portable.hpp"
#include "nadaraya/engine/row.hpp"
#include "nadaraya/engine/sketch.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Queries per block, the unit of parallel work. The keys of a panel pass from the first-level cache
/// over all of them before the next panel is fetched.
inline constexpr Index block_queries = 96;
/// Queries per tile of the product loop.
inline constexpr Index tile_queries = 6;
static_assert(panel_keys == 64 && tile_queries == 6 && block_queries % tile_queries == 0,
              "Loops::candidates takes six queries and a panel of 64 keys, a bit for each");

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

/// What one block of queries needs while it is scored. Reused from block to block.
template <class Scalar>
struct Workspace {
  std::vector<Row<Scalar>> rows;
  std::vector<Row<Scalar>*> all;         ///< of a block
  std::vector<Row<Scalar>*> some;        ///< of these
  std::vector<KeyRange> ranges;          ///< what the mask leaves the block's queries
  std::vector<Candidates<Scalar>> lists;  ///< the rows, as the product loop writes to them
  bool whole = false;                    ///< do all lists show a whole panel?
  bool screened = false;                 ///< were the rows made by screening?
  LineVector<Scalar> norms;              ///< squared, of the block's queries
  const Scalar* query = nullptr;         ///< the block's queries, contiguous
  LineVector<Scalar> queries;            ///< copies of them, if they have to be, and room for a tile more
  QuerySketch<Scalar> sketch;            ///< of them, while they are screened
  LineVector<Scalar> floors;             ///< of the rows, as bounds on similarities set them
  LineVector<KeyIndex> places[2];        ///< of some candidates, in two of the rows
  LineVector<Scalar> tile;
  LineVector<Scalar> panel;              ///< one that had not been packed before
  LineVector<Scalar> lengths;            ///< of its keys: NaN for those that are too long
  LineVector<Scalar> weights;
  std::vector<RowMap<Scalar>> maps;      ///< of the block's queries
  std::vector<KeyIndex> supports;        ///< their support sizes
  LineVector<Scalar> dense;              ///< rows over all keys of a stretch; what a row's pairs are pulled back by
  LineVector<Scalar> mixed;              ///< rows of values, while they are summed
  NearKeys near_keys;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
