// The engine: forward, backward and the weights of some heads, and keys that are prepared once for many calls.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/engine/record.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/types.hpp"

#include <memory>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Regresses every head: writes the rows of outs[h] and, unless there are none, of records[h], one for each block.
template <class Scalar>
void forward(std::span<const Problem<Scalar>> heads, std::span<const MatrixMap<Scalar>> outs,
             std::span<const std::span<Record<Scalar>>> records, const Execution<Scalar>& execution);

/// The inputs and outputs of a head's backward pass. Heads with the same keys have the same maps for dL/dkey and dL/dvalue,
/// where the sums over them are written.
template <class Scalar>
struct HeadGradients {
  std::span<const Record<Scalar>> records;
  View<Scalar> grad_out;
  MatrixMap<Scalar> query;
  MatrixMap<Scalar> key;
  MatrixMap<Scalar> value;
};

/// Pulls every head back; parameters[h] becomes the gradients of its parameters. All maps are overwritten.
template <class Scalar>
void backward(std::span<const Problem<Scalar>> heads, std::span<const HeadGradients<Scalar>> gradients,
              std::span<ParameterSums<Scalar>> parameters, const Execution<Scalar>& execution);

/// visit(support, weights) for the queries of a head, one after the other, on the calling thread.
template <class Scalar>
void weigh(const Problem<Scalar>& head, const Execution<Scalar>& execution,
           const detail::FunctionRef<void(std::span<const KeyIndex> support, std::span<const Scalar> weights)>& visit);

/// visit(first, rows) for the queries of a head, a block at a time, on any thread: each row holds the candidates of a query, from
/// `first` on, ascending, that exceed every floor known while they were seen, with their similarities; NaN always does. `refine`,
/// called on any thread too, raises the floors of rows, and may drop keys that these rule out. Queries and keys are some of `all`: a
/// similarity does not depend on the others, and is that which forward() of all of them forms in blocks that are screened, or in
/// none if none is to be. How many keys are listed beyond those with weight depends on the executor.
template <class Scalar>
void list_candidates(const Problem<Scalar>& head, const Extent& all, const Execution<Scalar>& execution,
                     const detail::FunctionRef<void(std::span<CandidateRow<Scalar>* const> rows)>& refine,
                     const detail::FunctionRef<void(Index first, std::span<const CandidateRow<Scalar>> rows)>& visit);

/// Prepared keys that outlive calls.
template <class Scalar>
struct DeletePreparedKeys {
  void operator()(PreparedKeys<Scalar>* keys) const noexcept;
};
template <class Scalar>
using OwnedKeys = std::unique_ptr<PreparedKeys<Scalar>, DeletePreparedKeys<Scalar>>;

/// For keys of a number of columns under a similarity, which are appended to, or all read at once.
template <class Scalar>
OwnedKeys<Scalar> make_growing_keys(const SimilarityTraits& similarity, Index cols, Screening screening);
template <class Scalar>
OwnedKeys<Scalar> make_prepared_keys(const SimilarityTraits& similarity, Index cols, Screening screening);

/// Makes them those of a view, already as the similarity compares them, of which [0, kept), and their values, are as they
/// were the last time. They are referred to.
template <class Scalar>
void read_keys(PreparedKeys<Scalar>& keys, const StoredRows<Scalar>& key, const StoredRows<Scalar>& value, Index kept);

/// Hides the first `count` of the keys and their values from every query. Masks then count keys from the first that is
/// left.
template <class Scalar>
void hide_keys(PreparedKeys<Scalar>& keys, Index count) noexcept;

/// Makes room for more values after the current ones, and for `total` keys in all, at least as many: read_keys of all of
/// them, keeping the current ones, then throws nothing. If it throws, nothing has changed.
template <class Scalar>
void reserve_keys(PreparedKeys<Scalar>& keys, const StoredRows<Scalar>& more_values, Index total);

/// For queries, keys and values that are all bfloat16, where this machine multiplies these (AMX-BF16); null elsewhere.
template <class Scalar>
StreamStored<Scalar> bfloat16_stream();

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
