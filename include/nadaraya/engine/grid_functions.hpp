// How the engine calls a grid: through a table of functions, so that they are compiled for those alone who name a similarity
// that falls with distance.
#pragma once

#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <memory>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar>
class Grid;
template <class Scalar>
struct Head;
template <class Scalar>
struct BlockScratch;
struct QueryRange;

/// What each does is said in engine/grid_lookup.hpp and index/.
template <class Scalar>
struct GridFunctions {
  bool (*worth_a_grid)(const View<Scalar>& keys, const Scalar& radius, Index queries, double seen);
  std::shared_ptr<const Grid<Scalar>> (*make_grid)(const View<Scalar>& keys, const Scalar& radius);
  std::vector<KeyIndex> (*morton_order)(const View<Scalar>& queries, const Scalar& radius);
  void (*find_by_grid)(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch);
};

/// Defined in engine/grid_lookup.hpp.
template <class Scalar>
const GridFunctions<Scalar>& grid_functions();

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
