// Many heads of operators of which the scalar alone is known.
#pragma once

#include "nadaraya/any_operator.hpp"
#include "nadaraya/attention_tape.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/operator/operands.hpp"
#include "nadaraya/rows.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The cached keys and values of one head, whatever the similarity they were prepared for.
template <class Scalar>
struct CachedHead {
  Index keys, key_cols, value_cols;
  const engine::PreparedKeys<Scalar>* prepared;
};

/// Attention with operators whose policies are chosen at run time: shapes, results, errors and cost are those of
/// Attention, which calls this class. Nothing in it is compiled again for another kernel, normalization, similarity or
/// mask. The operators must outlive it.
template <class Scalar>
class AnyAttention {
 public:
  /// One operator for all query heads, or one for each.
  explicit AnyAttention(std::vector<const AnyOperator<Scalar>*> heads) : heads_(std::move(heads)) {}

  /// The regressions alone: no tape. `out` is overwritten.
  template <class E = Serial>
  void operator()(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key, const HeadView<const Scalar>& value,
                  const HeadView<Scalar>& out, const Packed& sequences, const E& executor = {}) const {
    AttentionTape<Scalar> tape = bind(query, key, value, out, sequences, "Attention::operator()");
    const engine::Execution<Scalar> execution(executor);
    tape.forward(policies(), out, execution);
  }

  /// The same on remembered keys and values: caches[b * Hk + h] holds those of key head h of sequence b.
  template <class E = Serial>
  void operator()(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches, const HeadView<Scalar>& out,
                  const E& executor = {}) const {
    const Index key_heads = validate_cached(query, caches, out);
    const engine::Execution<Scalar> execution(executor);
    run_cached(query, caches, key_heads, out, execution);
  }

  /// The regressions with a record for `backward`.
  template <class E = Serial>
  AttentionTape<Scalar> forward(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                                const HeadView<const Scalar>& value, const HeadView<Scalar>& out, const Packed& sequences,
                                const E& executor = {}) const {
    AttentionTape<Scalar> tape = bind(query, key, value, out, sequences, "Attention::forward");
    const engine::Execution<Scalar> execution(executor);
    tape.make_records();
    tape.forward(policies(), out, execution);
    return tape;
  }

  /// Overwrites the gradients of the inputs. Returns, for each query head, those of its operator's parameters, summed over
  /// the batch and its sequences in the scalar.
  template <class E = Serial>
  std::vector<engine::ParameterSums<Scalar>> backward(const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out,
                                                      const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key,
                                                      const HeadView<Scalar>& grad_value, const E& executor = {}) const {
    validate_backward(tape, grad_out, grad_query, grad_key, grad_value);
    const engine::Execution<Scalar> execution(executor);
    return pull_back(tape, grad_out, grad_query, grad_key, grad_value, execution);
  }

 private:
  /// A tape without records, of validated operands.
  AttentionTape<Scalar> bind(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                             const HeadView<const Scalar>& value, const HeadView<Scalar>& out, const Packed& sequences,
                             const char* function) const;

  /// Returns the number of key heads.
  Index validate_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches,
                        const HeadView<Scalar>& out) const;
  void run_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches, Index key_heads,
                  const HeadView<Scalar>& out, const engine::Execution<Scalar>& execution) const;

  void validate_backward(const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out,
                         const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key,
                         const HeadView<Scalar>& grad_value) const;
  std::vector<engine::ParameterSums<Scalar>> pull_back(const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out,
                                                       const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key,
                                                       const HeadView<Scalar>& grad_value,
                                                       const engine::Execution<Scalar>& execution) const;

  const AnyOperator<Scalar>& head(Index h) const { return *detail::of_head(heads_, h); }
  std::vector<engine::HeadPolicies<Scalar>> policies() const;

  /// The number of operators, and their parameters, also where there is no head to compute.
  void validate_operators(Index heads, const char* function) const;
  void validate_head(Index h, Index queries, Index query_cols, Index keys, Index key_cols, const char* function) const;
  void validate_heads(const AttentionTape<Scalar>& tape, const char* function) const;

  std::vector<const AnyOperator<Scalar>*> heads_;
};

template <class Scalar>
AttentionTape<Scalar> AnyAttention<Scalar>::bind(const HeadView<const Scalar>& query, const HeadView<const Scalar>& key,
                                                 const HeadView<const Scalar>& value, const HeadView<Scalar>& out,
                                                 const Packed& sequences, const char* function) const {
  AttentionTape<Scalar> tape(query, key, value, detail::HeadShape(out), sequences, function);
  validate_operators(query.heads(), function);
  detail::require_apart({"out", out}, {{"query", query}, {"key", key}, {"value", value}}, function);
  validate_heads(tape, function);
  return tape;
}

template <class Scalar>
Index AnyAttention<Scalar>::validate_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches,
                                            const HeadView<Scalar>& out) const {
  const char* const function = "Attention::operator()";
  const auto sequences = (std::max)(query.batch(), Index(1));
  const Index key_heads = static_cast<Index>(caches.size()) / sequences;
  detail::require(static_cast<Index>(caches.size()) == key_heads * query.batch() &&
                      (query.heads() == 0 || (key_heads > 0 && query.heads() % key_heads == 0)),
                  function, ": need caches for a number of key heads that divides ", query.heads(), " in each of ",
                  query.batch(), " sequences, got ", caches.size());
  detail::require(out.batch() == query.batch() && out.heads() == query.heads() && out.tokens() == query.tokens(), function,
                  ": out must be [", query.batch(), " x ", query.heads(), " x ", query.tokens(), " x .] like query, got ",
                  detail::HeadShape(out));
  validate_operators(query.heads(), function);
  for (Index b = 0; b < query.batch(); ++b) {
    for (Index h = 0; h < query.heads(); ++h) {
      const CachedHead<Scalar>& cache = caches[static_cast<std::size_t>(b * key_heads + h * key_heads / query.heads())];
      validate_head(h, query.tokens(), query.dim(), cache.keys, cache.key_cols, function);
      detail::require(out.dim() == cache.value_cols, function, ": out must have ", cache.value_cols,
                      " columns like the cached values, got ", out.dim());
    }
  }
  detail::require_apart({"out", out}, {{"query", query}}, function);
  return key_heads;
}

template <class Scalar>
void AnyAttention<Scalar>::run_cached(const HeadView<const Scalar>& query, std::span<const CachedHead<Scalar>> caches,
                                      Index key_heads, const HeadView<Scalar>& out,
                                      const engine::Execution<Scalar>& execution) const {
  std::vector<Rows<Scalar>> queries;
  std::vector<WritableRows<Scalar>> places;
  for (Index b = 0; b < query.batch(); ++b) {
    for (Index h = 0; h < query.heads(); ++h) {
      queries.emplace_back(query.rows(b, h));
      places.emplace_back(out.rows(b, h));
    }
  }
  const Rows<Scalar> no_keys(RowMatrix<Scalar>(0, query.dim())), no_values(RowMatrix<Scalar>(0, out.dim()));
  const auto policies = this->policies();
  std::vector<engine::Problem<Scalar>> problems;
  std::vector<MatrixMap<Scalar>> outs;
  const std::vector<std::span<engine::Record<Scalar>>> no_records(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const Index h = static_cast<Index>(i) % query.heads();
    const Index key_head = static_cast<Index>(i) / query.heads() * key_heads + h * key_heads / query.heads();
    problems.push_back({detail::of_head(policies, h), &queries[i], &no_keys, &no_values, key_head,
                        caches[static_cast<std::size_t>(key_head)].prepared});
    outs.push_back(places[i].matrix());
  }
  engine::forward<Scalar>(problems, outs, no_records, execution);
  for (std::size_t i = 0; i < places.size(); ++i) {
    places[i].commit(out.rows(static_cast<Index>(i) / query.heads(), static_cast<Index>(i) % query.heads()));
  }
}

template <class Scalar>
void AnyAttention<Scalar>::validate_backward(const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out,
                                             const HeadView<Scalar>& grad_query, const HeadView<Scalar>& grad_key,
                                             const HeadView<Scalar>& grad_value) const {
  const char* const function = "Attention::backward";
  const detail::AttentionShapes& shapes = tape.shapes_;
  const auto require_shape = [&](const char* name, const detail::HeadShape& shape, const detail::HeadShape& expected) {
    detail::require(shape == expected, function, ": ", name, " must be ", expected, ", got ", shape);
  };
  require_shape("grad_out", detail::HeadShape(grad_out), shapes.out());
  require_shape("grad_query", detail::HeadShape(grad_query), shapes.query);
  require_shape("grad_key", detail::HeadShape(grad_key), shapes.key);
  require_shape("grad_value", detail::HeadShape(grad_value), shapes.value);
  validate_operators(shapes.query.heads, function);
  validate_heads(tape, function);
  const detail::NamedFootprint by_query("grad_query", grad_query), by_key("grad_key", grad_key),
      by_value("grad_value", grad_value), by_out("grad_out", grad_out), query("query", tape.inputs_[0], shapes.query),
      key("key", tape.inputs_[1], shapes.key), value("value", tape.inputs_[2], shapes.value);
  detail::require_apart(by_query, {by_out, query, key, value}, function);
  detail::require_apart(by_key, {by_query, by_out, query, key, value}, function);
  detail::require_apart(by_value, {by_query, by_key, by_out, query, key, value}, function);
}

template <class Scalar>
std::vector<engine::ParameterSums<Scalar>> AnyAttention<Scalar>::pull_back(
    const AttentionTape<Scalar>& tape, const HeadView<const Scalar>& grad_out, const HeadView<Scalar>& grad_query,
    const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value, const engine::Execution<Scalar>& execution) const {
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
  const auto policies = this->policies();
  const auto sums = tape.backward(policies, grad_out, grad_query, grad_key, grad_value, execution);
  std::vector<engine::ParameterSums<Scalar>> parameters;
  for (Index h = 0; h < shapes.query.heads; ++h) parameters.push_back(engine::no_parameters(detail::of_head(policies, h)));
  const auto add = [](auto& sum, const auto& more) { sum = Scalar(Scalar(sum) + Scalar(more)); };
  tape.for_each([&](std::size_t i, const detail::HeadPosition& at) {
    auto& sum = parameters[static_cast<std::size_t>(at.head)];
    add(sum.scale, sums[i].scale);
    add(sum.bandwidth, sums[i].bandwidth);
    add(sum.alpha, sums[i].alpha);
    if (sum.similarity) sum.similarity->add(*sums[i].similarity);
    if (sum.bias) sum.bias->add(*sums[i].bias);
  });
  return parameters;
}

template <class Scalar>
std::vector<engine::HeadPolicies<Scalar>> AnyAttention<Scalar>::policies() const {
  std::vector<engine::HeadPolicies<Scalar>> all;
  all.reserve(heads_.size());
  for (const auto* one : heads_) all.push_back(one->policies());
  return all;
}

template <class Scalar>
void AnyAttention<Scalar>::validate_operators(Index heads, const char* function) const {
  const auto operators = static_cast<Index>(heads_.size());
  detail::require(operators == 1 || operators == heads, function, ": there are operators for ", operators,
                  " heads, and query has ", heads);
  for (const auto* one : heads_) one->validate();
}

template <class Scalar>
void AnyAttention<Scalar>::validate_head(Index h, Index queries, Index query_cols, Index keys, Index key_cols,
                                         const char* function) const {
  detail::require_query_and_key(queries, query_cols, keys, key_cols, function);
  head(h).validate(Extent{queries, keys});
}

template <class Scalar>
void AnyAttention<Scalar>::validate_heads(const AttentionTape<Scalar>& tape, const char* function) const {
  tape.for_each([&](std::size_t i, const detail::HeadPosition& at) {
    const Rows<Scalar>&query = tape.tapes_[i].query(), &key = tape.tapes_[i].key();
    validate_head(at.head, query.rows(), query.cols(), key.rows(), key.cols(), function);
  });
}

#if defined(NADARAYA_COMPILED)
extern template class AnyAttention<float>;
extern template class AnyAttention<double>;
#endif

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
