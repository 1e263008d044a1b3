// What a few queries make of a part of their keys, so that several threads may work on one head.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/types.hpp"

#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The weighted sums of values of some queries over keys that were streamed: relative to the pivot of each query's map, and not
/// divided.
template <class Scalar>
struct StreamedRows {
  LineVector<Scalar> mixed;                 ///< a row of values each
  std::vector<RowNormalizer<Scalar>> maps;  ///< with the largest similarity as pivot
  std::vector<double> masses;               ///< sums of weights
  std::vector<KeyIndex> supports;           ///< keys seen
};

/// Of the queries of one block: their sums, or their candidates.
template <class Scalar>
struct KeyPart {
  StreamedRows<Scalar> streamed;
  std::vector<CandidateRow<Scalar>> rows;
  bool screened = false;  ///< are their numbers bounds on similarities?
  Index left = 0;         ///< of the first part: how many of the block's parts are not done yet
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
