// What the engine is asked to compute: heads, each of them operands and an operator's policies.
#pragma once

#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/engine/row_mix.hpp"
#include "nadaraya/engine/row_similarity.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/loops/blocks.hpp"
#include "nadaraya/row/row_rule.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/types.hpp"

#include <memory>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Keys and values prepared for queries; see prepared_keys.hpp.
template <class Scalar>
class PreparedKeys;

template <class Scalar>
struct BlockScratch;
template <class Scalar>
struct Head;
template <class Scalar>
struct StreamedRows;

/// The sums of a block over the keys of a range that its queries see, by products with keys and values as they are stored:
/// stream_keys, in another order of sums.
template <class Scalar>
using StreamStored = void (*)(const Head<Scalar>& head, const QueryRange& queries, const KeyRange& keys,
                              BlockScratch<Scalar>& scratch, StreamedRows<Scalar>& sums);

/// The operator of a head; not owned.
template <class Scalar>
struct HeadPolicies {
  const RowRule<Scalar>* rule = nullptr;
  const RowSimilarity<Scalar>* similarity = nullptr;
  const RowMask<Scalar>* mask = nullptr;
  Screening screening = Screening::never;
  const RowMix<Scalar>* mix = nullptr;  ///< null for the weighted mean

  /// Are the keys of its rows listed, even where all have weight? Other rows may be formed as products of matrices.
  bool lists_keys() const { return mix != nullptr || !rule->traits().takes_vectors; }
};

/// Sums of no pair yet of the gradients of an operator's parameters.
template <class Scalar>
ParameterSums<Scalar> no_parameters(const HeadPolicies<Scalar>& policies) {
  ParameterSums<Scalar> none;
  none.similarity = policies.similarity->no_gradient();
  none.bias = policies.mask->no_gradient();
  return none;
}

/// One head. Heads that read the same keys and values follow each other and have the same `key_head`, which counts up
/// from 0. Everything must outlive the call.
template <class Scalar>
struct Problem {
  HeadPolicies<Scalar> policies{};
  const Rows<Scalar>* query = nullptr;
  const Rows<Scalar>* key = nullptr;  ///< null where they are cached
  const Rows<Scalar>* value = nullptr;
  Index key_head = 0;
  const PreparedKeys<Scalar>* cached = nullptr;
  StreamStored<Scalar> stream_stored = nullptr;  ///< for rows that are streamed from cached keys, if there is one
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
