// The memory that a block of queries needs while it is worked on.
#pragma once

#include "nadaraya/engine/key_part.hpp"
#include "nadaraya/engine/key_sums.hpp"
#include "nadaraya/engine/rows_ahead.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/index/grid.hpp"
#include "nadaraya/loops/blocks.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/quantized/queries.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/types.hpp"

#include <any>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// A row while a mix corrects its weights.
template <class Scalar>
struct MixScratch {
  std::any memory;  ///< of the mix
  std::vector<std::size_t> places;  ///< of the keys that have weight among all of the row; empty where all have
  std::vector<KeyIndex> keys;       ///< ... those keys
  std::vector<Scalar> weights;
  std::vector<Scalar> corrected, grad_corrected, grad_weights;  ///< [s]
  std::vector<Scalar> grad_query, grad_keys;                    ///< [D], [s x D]

  std::size_t place(std::size_t j) const { return places.empty() ? j : places[j]; }
};

/// Reused from block to block.
template <class Scalar>
struct BlockScratch {
  std::vector<CandidateRow<Scalar>> rows;
  std::vector<CandidateRow<Scalar>*> all;          ///< of a block
  std::vector<CandidateRow<Scalar>*> some;         ///< of these
  std::vector<KeyRange> ranges;           ///< what the mask leaves the block's queries
  std::vector<Candidates<Scalar>> lists;  ///< the rows, as the product loop writes to them
  bool whole = false;                     ///< do all lists show a whole panel?
  bool screened = false;                  ///< were the rows made by screening?
  LineVector<Scalar> norms;               ///< squared, of the block's queries
  const Scalar* query = nullptr;          ///< the block's queries, contiguous
  LineVector<Scalar> queries;             ///< copies of them, if they have to be, and room for a tile more
  QuantizedQueries<Scalar> quantized;     ///< of them, while they are screened
  LineVector<Scalar> floors;              ///< of the rows, as bounds on similarities set them
  LineVector<KeyIndex> positions[2];      ///< of some candidates, in two of the rows
  LineVector<Scalar> tile;
  LineVector<Scalar> panel;               ///< one that had not been packed before
  LineVector<Scalar> lengths;             ///< of its keys: NaN for those that are too long
  LineVector<Scalar> weights;
  std::vector<RowNormalizer<Scalar>> maps;       ///< of the block's queries
  std::vector<KeyIndex> supports;         ///< their support sizes
  LineVector<Scalar> dense;               ///< rows over all keys of a chunk; what a row's pairs are pulled back by
  LineVector<Scalar> mixed;               ///< rows of values, while they are summed
  LineVector<Scalar> widened;             ///< some keys or values that are stored in 16 bits
  LineVector<std::uint16_t> narrow;       ///< queries and weights in 16 bits
  LineVector<Scalar> words;               ///< keys and values, two numbers of 16 bits in one
  LineVector<Scalar> part;                ///< of a row's result
  NearKeys near_keys;
  RowsAhead<Scalar> ahead;                ///< of the next head
  StreamedRows<Scalar> streamed;          ///< of the block's queries
  LineVector<Scalar> group_queries;       ///< those of several heads, one after the other
  LineVector<Scalar> group_rows;          ///< ... and their rows of the result
  std::vector<KeyPart<Scalar>> parts;     ///< of the blocks of a call whose keys are read in parts
  KeySumScratch<Scalar> key_sums;
  MixScratch<Scalar> mix;
  // A row whose pairs are formed again on the way back:
  std::vector<KeyIndex> keys;
  std::vector<Scalar> coordinates;
  std::vector<Scalar> profiles;
  std::vector<Pair<Scalar>> pairs;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
