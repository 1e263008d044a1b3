// Which rows of a batch a rank solves, where each rank solves a part of them.
#pragma once

#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Of the rows of a batch, each rank has as many as the others, or one more.
struct RowParts {
  Index rows = 0;
  int ranks = 1;

  Index begin(int rank) const { return rows * rank / ranks; }
  Index end(int rank) const { return begin(rank + 1); }
  Index count(int rank) const { return end(rank) - begin(rank); }
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
