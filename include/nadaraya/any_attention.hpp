// Many heads of operators of which the scalar alone is known.
#pragma once

#include "nadaraya/any_operator.hpp"
#include "nadaraya/attention_tape.hpp"
#include "nadaraya/cached_head.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/head_positions.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/operator/operands.hpp"
#include "nadaraya/rows.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {
template <class Scalar>
class StoredAttention;
}

/// Attention with operators whose policies are chosen at run time: shapes, results, errors and cost are those of
/// Attention, which calls this class. Nothing in it is compiled again for another kernel, normalization, similarity or
/// mask. The operators must outlive it. Inputs that are stored in 16 bits: attend_stored and forward_stored of
/// stored_attention.hpp.
template <class Scalar>
class AnyAttention {
 public:
  /// One operator for all query heads, or one for each.
  explicit AnyAttention(std::vector<const AnyOperator<Scalar>*> heads) : owned_(std::move(heads)) {}

  /// The regressions alone: no tape. `out` is overwritten.
  template <class E = Serial>
  void operator()(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
                  const HeadView<Scalar>& out, const Packed& sequences, const E& executor = {}) const {
    run(query, key, value, out, sequences, engine::Execution<Scalar>(executor));
  }

  /// Inference on cached keys and values: caches[(b n + s) Hk + h] holds those of key head h for sequence s of batch entry b,
  /// which has n sequences. `sequences` tells their queries; its keys are not read.
  template <class E = Serial>
  void operator()(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches, const HeadView<Scalar>& out,
                  const Packed& sequences, const E& executor = {}) const {
    run_cached(query, caches, out, sequences, engine::Execution<Scalar>(executor));
  }

  /// The regressions with a record for `backward`.
  template <class E = Serial>
  AttentionTape<Scalar> forward(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                                const HeadView<const Scalar>& value, const HeadView<Scalar>& out, const Packed& sequences,
                                const E& executor = {}) const {
    AttentionTape<Scalar> tape;
    record(query, key, value, out, sequences, tape, engine::Execution<Scalar>(executor));
    return tape;
  }

  /// Overwrites the gradients of the inputs. Returns, for each query head, those of its operator's parameters, summed over
  /// the batch and its sequences in the scalar.
  template <class E = Serial>
  std::vector<engine::ParameterSums<Scalar>> backward(const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out,
                                                      const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key,
                                                      const HeadView<Scalar>& grad_value, const E& executor = {}) const {
    const engine::Execution<Scalar> execution(executor);
    engine::LineVector<engine::ParameterSums<Scalar>> sums(&execution.memory());
    pull_back(tape, grad_out, grad_query, grad_key, grad_value, sums, execution);
    return {std::move_iterator(sums.begin()), std::move_iterator(sums.end())};
  }

 private:
  template <class, class, class, class, class>
  friend class Attention;
  friend class detail::StoredAttention<Scalar>;

  /// The operators are listed elsewhere.
  explicit AnyAttention(std::span<const AnyOperator<Scalar>* const> heads) : borrowed_(heads) {}

  void run(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
           const HeadView<Scalar>& out, const detail::Offsets& sequences, const engine::Execution<Scalar>& execution) const;
  void record(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
              const HeadView<Scalar>& out, const detail::Offsets& sequences, AttentionTape<Scalar>& tape,
              const engine::Execution<Scalar>& execution, std::shared_ptr<const void> copies = nullptr) const;
  /// Writes, for each query head, the gradients of its operator's parameters.
  void pull_back(const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
                 const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                 engine::LineVector<engine::ParameterSums<Scalar>>& parameters,
                 const engine::Execution<Scalar>& execution) const;

  /// The heads of validated operands.
  detail::HeadPositions validated(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                                  const HeadView<const Scalar>& value, const HeadView<Scalar>& out,
                                  const detail::Offsets& sequences, const char* function) const;

  /// Returns the number of key heads.
  Index validate_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches,
                        const HeadView<Scalar>& out, const detail::Offsets& sequences) const;
  void run_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches, const HeadView<Scalar>& out,
                  const detail::Offsets& sequences, const engine::Execution<Scalar>& execution,
                  engine::StreamStored<Scalar> stream_stored = nullptr) const;

  std::span<const AnyOperator<Scalar>* const> operators() const { return owned_.empty() ? borrowed_ : owned_; }
  const AnyOperator<Scalar>& head(Index h) const { return *detail::of_head(operators(), h); }
  engine::LineVector<engine::HeadPolicies<Scalar>> policies(engine::Arena& memory) const;

  void validate_head(Index h, Index queries, Index query_cols, Index keys, Index key_cols, const char* function) const;
  void validate_heads(const detail::HeadPositions& positions, const char* function) const;

  std::vector<const AnyOperator<Scalar>*> owned_;
  std::span<const AnyOperator<Scalar>* const> borrowed_;
};

template <class Scalar>
detail::HeadPositions AnyAttention<Scalar>::validated(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                                                      const HeadView<const Scalar>& value, const HeadView<Scalar>& out,
                                                      const detail::Offsets& sequences, const char* function) const {
  const detail::HeadPositions positions{{detail::HeadShape(query), detail::HeadShape(key), detail::HeadShape(value)}, sequences};
  positions.shapes.validate(sequences, detail::HeadShape(out), function);
  detail::validate_operators(operators(), query.heads(), function);
  detail::require_apart({"out", out}, {{"query", query}, {"key", key}, {"value", value}}, function);
  validate_heads(positions, function);
  return positions;
}

template <class Scalar>
void AnyAttention<Scalar>::run(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                               const HeadView<const Scalar>& value, const HeadView<Scalar>& out,
                               const detail::Offsets& sequences, const engine::Execution<Scalar>& execution) const {
  const detail::HeadPositions positions = validated(query, key, value, out, sequences, "Attention::operator()");
  engine::Arena& memory = execution.memory();
  engine::LineVector<Rows<Scalar>> queries(&memory), keys(&memory), values(&memory);
  for (auto* rows : {&queries, &keys, &values}) rows->reserve(positions.size());
  const auto policies = this->policies(memory);
  engine::LineVector<engine::Problem<Scalar>> problems(&memory);
  problems.reserve(positions.size());
  positions.for_each([&](std::size_t, const detail::HeadPosition& at) {
    queries.emplace_back(at.queries_of(query), memory);
    if (at.new_keys) {
      keys.emplace_back(at.keys_of(key), memory);
      values.emplace_back(at.keys_of(value), memory);
    }
    problems.push_back({detail::of_head(policies, at.head), &queries.back(), &keys.back(), &values.back(), at.key_set});
  });
  const engine::LineVector<std::span<engine::Record<Scalar>>> no_records(positions.size(), &memory);
  detail::forward_heads<Scalar>(positions, problems, no_records, out, execution);
}

template <class Scalar>
void AnyAttention<Scalar>::record(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                                  const HeadView<const Scalar>& value, const HeadView<Scalar>& out,
                                  const detail::Offsets& sequences, AttentionTape<Scalar>& tape,
                                  const engine::Execution<Scalar>& execution, std::shared_ptr<const void> copies) const {
  tape.bind(validated(query, key, value, out, sequences, "Attention::forward"), query, key, value, std::move(copies));
  tape.forward(policies(execution.memory()), out, execution);
}

template <class Scalar>
Index AnyAttention<Scalar>::validate_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches,
                                            const HeadView<Scalar>& out, const detail::Offsets& sequences) const {
  const char* const function = "Attention::operator()";
  detail::AttentionShapes::validate_tokens(sequences, query.batch(), query.tokens(), sequences.query, sequences.query_lengths,
                                           "query", function);
  const Index each = sequences.sequences();
  const Index key_heads = static_cast<Index>(caches.size()) / (std::max)(query.batch() * each, Index(1));
  detail::require(static_cast<Index>(caches.size()) == key_heads * query.batch() * each &&
                      (query.heads() == 0 || query.batch() * each == 0 || (key_heads > 0 && query.heads() % key_heads == 0)),
                  function, ": need caches for a number of key heads that divides ", query.heads(), " in each of ",
                  query.batch() * each, " sequences, got ", caches.size());
  detail::require(out.batch() == query.batch() && out.heads() == query.heads() && out.tokens() == query.tokens(), function,
                  ": out must be [", query.batch(), " x ", query.heads(), " x ", query.tokens(), " x .] like query, got ",
                  detail::HeadShape(out));
  detail::validate_operators(operators(), query.heads(), function);
  for (Index i = 0; i < query.batch() * each; ++i) {
    const Index queries = sequences.queries_of(query.tokens(), i / each, i % each).count;
    for (Index h = 0; h < query.heads(); ++h) {
      const CachedHead<Scalar>& cache = caches[static_cast<std::size_t>(i * key_heads + h * key_heads / query.heads())];
      validate_head(h, queries, query.dim(), cache.keys, cache.key_cols, function);
      detail::require(out.dim() == cache.value_cols, function, ": out must have ", cache.value_cols,
                      " columns like the cached values, got ", out.dim());
    }
  }
  detail::require_apart({"out", out}, {{"query", query}}, function);
  return key_heads;
}

template <class Scalar>
void AnyAttention<Scalar>::run_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches,
                                      const HeadView<Scalar>& out, const detail::Offsets& sequences,
                                      const engine::Execution<Scalar>& execution,
                                      engine::StreamStored<Scalar> stream_stored) const {
  const Index key_heads = validate_cached(query, caches, out, sequences);
  engine::Arena& memory = execution.memory();
  const engine::LineVector<detail::HeadPosition> heads = detail::cached_positions(query, key_heads, sequences, memory);
  engine::LineVector<Rows<Scalar>> queries(&memory);
  engine::LineVector<WritableRows<Scalar>> places(&memory);
  engine::LineVector<MatrixMap<Scalar>> outs(&memory);
  engine::LineVector<engine::Problem<Scalar>> problems(&memory);
  queries.reserve(heads.size());
  places.reserve(heads.size());
  outs.reserve(heads.size());
  problems.reserve(heads.size());
  const Rows<Scalar> no_keys(RowMatrix<Scalar>(0, query.dim())), no_values(RowMatrix<Scalar>(0, out.dim()));
  const auto policies = this->policies(memory);
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const detail::HeadPosition& at = heads[i];
    queries.emplace_back(at.queries_of(query), memory);
    outs.push_back(places.emplace_back(at.queries_of(out), memory).matrix());
    const auto cache = static_cast<std::size_t>((at.batch * sequences.sequences() + at.sequence) * key_heads + at.key_head);
    problems.push_back({detail::of_head(policies, at.head), &queries.back(), &no_keys, &no_values, at.key_set,
                        caches[cache].prepared, stream_stored});
  }
  const engine::LineVector<std::span<engine::Record<Scalar>>> no_records(heads.size(), &memory);
  engine::forward<Scalar>(problems, outs, no_records, execution);
  for (std::size_t i = 0; i < places.size(); ++i) places[i].commit(heads[i].queries_of(out));
  detail::clear_padding(out, sequences.query_lengths);
}

template <class Scalar>
void AnyAttention<Scalar>::pull_back(const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out,
                                     const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key,
                                     const HeadView<Scalar>& grad_value,
                                     engine::LineVector<engine::ParameterSums<Scalar>>& parameters,
                                     const engine::Execution<Scalar>& execution) const {
  const char* const function = "Attention::backward";
  tape.validate_shapes(grad_out, grad_query, grad_key, grad_value, function);
  detail::validate_operators(operators(), tape.heads(), function);
  validate_heads(tape.positions(), function);
  tape.validate_memory(grad_out, grad_query, grad_key, grad_value, function);
  const detail::AttentionShapes& shapes = tape.shapes_;
  if (shapes.query.heads == 0) {
    // Keys that nobody reads.
    for (Index b = 0; b < shapes.key.batch; ++b) {
      for (Index h = 0; h < shapes.key.heads; ++h) {
        grad_key.rows(b, h).setZero();
        grad_value.rows(b, h).setZero();
      }
    }
  }
  const auto policies = this->policies(execution.memory());
  engine::LineVector<engine::ParameterSums<Scalar>> sums(tape.tapes_.size(), &execution.memory());
  tape.backward(policies, grad_out, grad_query, grad_key, grad_value, sums, execution);
  parameters.reserve(static_cast<std::size_t>(shapes.query.heads));
  for (Index h = 0; h < shapes.query.heads; ++h) parameters.push_back(engine::no_parameters(detail::of_head(policies, h)));
  const auto add = [](auto& sum, const auto& more) { sum = Scalar(Scalar(sum) + Scalar(more)); };
  tape.positions().for_each([&](std::size_t i, const detail::HeadPosition& at) {
    auto& sum = parameters[static_cast<std::size_t>(at.head)];
    add(sum.scale, sums[i].scale);
    add(sum.bandwidth, sums[i].bandwidth);
    add(sum.alpha, sums[i].alpha);
    add(sum.ridge, sums[i].ridge);
    if (sum.similarity) sum.similarity->add(*sums[i].similarity);
    if (sum.bias) sum.bias->add(*sums[i].bias);
  });
}

template <class Scalar>
engine::LineVector<engine::HeadPolicies<Scalar>> AnyAttention<Scalar>::policies(engine::Arena& memory) const {
  engine::LineVector<engine::HeadPolicies<Scalar>> all(&memory);
  all.reserve(operators().size());
  for (const auto* one : operators()) all.push_back(one->policies());
  return all;
}

template <class Scalar>
void AnyAttention<Scalar>::validate_head(Index h, Index queries, Index query_cols, Index keys, Index key_cols,
                                         const char* function) const {
  detail::require_query_and_key(queries, query_cols, keys, key_cols, function);
  head(h).validate(Extent{queries, keys});
  head(h).policies().similarity->validate(key_cols);
  if (const auto* const mix = head(h).policies().mix) mix->validate(key_cols);
}

template <class Scalar>
void AnyAttention<Scalar>::validate_heads(const detail::HeadPositions& positions, const char* function) const {
  positions.for_each([&](std::size_t, const detail::HeadPosition& at) {
    validate_head(at.head, at.queries, positions.shapes.query.dim, at.keys, positions.shapes.key.dim, function);
  });
}

#if defined(NADARAYA_COMPILED)
extern template class AnyAttention<float>;
extern template class AnyAttention<double>;
#endif

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
