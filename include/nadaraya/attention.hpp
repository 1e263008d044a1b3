// Many heads: the operator over batch x heads x tokens x dim, with grouped keys and packed sequences.
#pragma once

#include "nadaraya/any_attention.hpp"
#include "nadaraya/any_operator.hpp"
#include "nadaraya/attention_tape.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/layer_cache.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/operator/operator_checks.hpp"
#include "nadaraya/scalar_heads.hpp"
#include "nadaraya/stored_attention.hpp"

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// NadarayaWatson for each head of each batch entry: query [B x H x Nq x D], key [B x Hk x Nk x D],
/// value [B x Hk x Nk x Dv], out [B x H x Nq x Dv]. Hk divides H, and query head h reads key head
/// floor(h Hk / H) (grouped-query attention; Hk = 1 is multi-query). One operator for all heads, or
/// one for each query head, which may differ in every parameter: scale, bandwidth, alpha, ridge, mask.
///
/// The engine, its cost, its special values and its independence of the executor are those of
/// NadarayaWatson, which is the case B = H = 1; keys that heads share are prepared once, and all
/// blocks of all heads are one pool of work. Additional memory: a copy of the keys while it runs.
/// An output must not share memory with an input or another output, nor two of its elements one place. Views may
/// interleave without sharing, as the slices of one tensor do.
/// Errors: as for NadarayaWatson, before anything is written.
template <class K, class N = Adaptive, class S = DotProduct, class M = NoMask, class X = LocalConstant>
class Attention {
 public:
  using Operator = NadarayaWatson<K, N, S, M, X>;  ///< of one head
  /// Gradients of the parameters of one head's operator.
  template <class Scalar>
  using ParametersOf = typename Operator::template ParametersOf<Scalar>;

  /// Every head the same.
  explicit Attention(K kernel = K{}, N normalization = N{}, S similarity = S{}, M mask = M{}, X mix = X{}) {
    operators_.emplace_back(std::move(kernel), std::move(normalization), std::move(similarity), std::move(mask),
                            std::move(mix));
  }

  /// Every head the same, with the default similarity.
  template <std::same_as<M> OnlyMask>
    requires(detail::leaves_similarity_out<OnlyMask>)
  Attention(K kernel, N normalization, OnlyMask mask)
      : Attention(std::move(kernel), std::move(normalization), S{}, std::move(mask)) {}

  /// One operator for each query head; throws if there is none.
  explicit Attention(std::vector<Operator> heads) : operators_(std::move(heads)) {
    detail::require(!operators_.empty(), "Attention: need an operator for each head, got none");
  }

  /// The operator of a query head.
  const Operator& head(Index h) const { return detail::of_head(operators_, h); }

  /// The regressions alone: no tape. `out` is overwritten. Where `out` is float, inputs may be Eigen::bfloat16 or Eigen::half,
  /// each of its own: they are read as floats, some at a time, and give the bits that floats of the same values give where
  /// these are cached (see KeyValueCache), without a float copy of keys and values, unless the similarity prepares keys.
  /// Where all three are Eigen::bfloat16, the rule is softmax and the processor multiplies tiles of bfloat16 (AMX-BF16, see
  /// simd/bfloat16_tiles.hpp), it does so: weights are rounded to 17 bits when they are multiplied with values, which changes
  /// out_ic by at most 2^-17 sum_j p_ij |v_jc|, a 256th of what rounding it to bfloat16 does; sums are formed in another order;
  /// and numbers and products below 2^-126 count as zero.
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                  const HeadView<Scalar>& out, const E& executor = {}) const {
    regress(query, key, value, out, detail::OneSequence(query.tokens(), key.tokens()), executor);
  }
  /// Sequences packed along the tokens, each attending to itself alone.
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                  const HeadView<Scalar>& out, const Packed& sequences, const E& executor = {}) const {
    regress(query, key, value, out, sequences, executor);
  }

  /// Inference on cached keys and values: the queries of sequence b are those of batch entry b, and its keys and values
  /// those of sequence b of the cache, or caches[b Hk + h] for key head h. Queries on a cache of 16 bits are float, or 16 bits of
  /// their own; those of bfloat16 on a cache of bfloat16 may be multiplied as such, see above.
  template <class Q, class Stored, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, const LayerCache<Stored, S>& cache, const HeadView<Scalar>& out,
                  const E& executor = {}) const {
    run_cached(query, cache.heads(), out, detail::OneSequence(query.tokens(), query.tokens()), executor);
  }
  /// The same on caches of single heads.
  template <class Q, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, std::span<const KeyValueCache<std::remove_const_t<Q>, S>> caches,
                  const HeadView<Scalar>& out, const E& executor = {}) const {
    run_cached(query, caches, out, detail::OneSequence(query.tokens(), query.tokens()), executor);
  }

  /// Inference on cached keys and values with a different number of queries in each sequence, zero included, as in chunked
  /// prefill, speculative decoding and continuous batching: sequence s of batch entry b, which has n sequences, is
  /// sequence b n + s of the cache. `sequences` tells which queries it has; its keys are those of the cache, which took
  /// their number from such offsets when they were appended.
  template <class Q, class Stored, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, const LayerCache<Stored, S>& cache, const HeadView<Scalar>& out,
                  const Packed& sequences, const E& executor = {}) const {
    run_cached(query, cache.heads(), out, sequences, executor);
  }
  /// The same on caches of single heads.
  template <class Q, class Scalar, class E = Serial>
  void operator()(const HeadView<Q>& query, std::span<const KeyValueCache<std::remove_const_t<Q>, S>> caches,
                  const HeadView<Scalar>& out, const Packed& sequences, const E& executor = {}) const {
    run_cached(query, caches, out, sequences, executor);
  }

  /// The regressions with a record for `backward`. Where `out` is float, inputs may be Eigen::bfloat16 or Eigen::half, each of
  /// its own: results and gradients, which are floats, have the bits that floats of the same values give, of which the tape
  /// holds copies (see AttentionTape).
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  AttentionTape<Scalar> forward(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                                const HeadView<Scalar>& out, const E& executor = {}) const {
    AttentionTape<Scalar> tape;
    forward(query, key, value, out, tape, executor);
    return tape;
  }
  /// forward of packed sequences.
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  AttentionTape<Scalar> forward(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value,
                                const HeadView<Scalar>& out, const Packed& sequences, const E& executor = {}) const {
    AttentionTape<Scalar> tape;
    forward(query, key, value, out, sequences, tape, executor);
    return tape;
  }

  /// The same, with the record in the memory of a tape of an earlier pass: with a Workspace for executor, a repeated call
  /// allocates nothing.
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  void forward(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value, const HeadView<Scalar>& out,
               AttentionTape<Scalar>& tape, const E& executor = {}) const {
    record(query, key, value, out, detail::OneSequence(query.tokens(), key.tokens()), tape, executor);
  }
  /// forward of packed sequences, in the memory of a tape.
  template <class Q, class Ke, class V, class Scalar, class E = Serial>
  void forward(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value, const HeadView<Scalar>& out,
               const Packed& sequences, AttentionTape<Scalar>& tape, const E& executor = {}) const {
    record(query, key, value, out, sequences, tape, executor);
  }

  /// Given grad_out = dL/dout and the tape of this operator's forward pass, overwrites grad_query,
  /// grad_key and grad_value, of the shapes of its inputs; those of a key head are sums over the
  /// query heads that read it. Returns, for each query head, the gradients of its own parameters
  /// (those that exist: `.scale`, `.bandwidth`, `.alpha`, `.ridge`, `.similarity`, `.bias`), summed over the batch.
  template <class G, class Scalar, class E = Serial>
  auto backward(const AttentionTape<Scalar>& tape, const HeadView<G>& grad_out, const HeadView<Scalar>& grad_query,
                const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value, const E& executor = {}) const {
    std::vector<ParametersOf<Scalar>> parameters;
    backward(tape, grad_out, grad_query, grad_key, grad_value, parameters, executor);
    return parameters;
  }

  /// The same, with the gradients of the parameters in the memory of earlier ones, which are overwritten: with a Workspace for
  /// executor, a repeated call allocates nothing.
  template <class G, class Scalar, class E = Serial>
  void backward(const AttentionTape<Scalar>& tape, const HeadView<G>& grad_out, const HeadView<Scalar>& grad_query,
                const HeadView<Scalar>& grad_key, const HeadView<Scalar>& grad_value,
                std::vector<ParametersOf<Scalar>>& parameters, const E& executor = {}) const {
    static_assert(std::is_same_v<std::remove_const_t<G>, Scalar>, "grad_out must have the scalar of the forward pass");
    const engine::Execution<Scalar> execution(executor);
    engine::LineVector<engine::ParameterSums<Scalar>> sums(&execution.memory());
    Heads<Scalar>(operators_, execution).attention().pull_back(tape, grad_out, grad_query, grad_key, grad_value, sums, execution);
    parameters.clear();
    parameters.reserve(sums.size());
    for (std::size_t h = 0; h < sums.size(); ++h) {
      const Operator& one = head(static_cast<Index>(h));
      parameters.push_back(detail::no_parameters<ParametersOf<Scalar>, Scalar>(one.similarity(), one.mask()));
      parameters.back() += sums[h];
    }
  }

 private:
  /// An operator without its type. Refers to it; neither copied nor moved.
  template <class Scalar>
  class Untyped final : public AnyOperator<Scalar> {
   public:
    explicit Untyped(const Operator& one)
        : operator_(one),
          policies_(one.kernel(), one.normalization(), one.similarity(), one.mask(), one.mix(), one.screening()) {
      static_assert(detail::check_operator<Scalar, K, N, S, M>());
    }
    engine::HeadPolicies<Scalar> policies() const override { return policies_.get(); }
    void validate() const override {
      detail::validate_parameters<Scalar>(operator_.kernel(), operator_.normalization(), operator_.similarity());
    }
    void validate(const Extent& n) const override { detail::validate_mask(operator_.mask(), n); }

   private:
    const Operator& operator_;
    detail::OperatorPolicies<Scalar, K, N, S, M, X> policies_;
  };

  /// The heads as calls take them that are compiled once for each scalar, in the memory of one. Neither copied nor moved.
  template <class Scalar>
  class Heads {
   public:
    Heads(const std::vector<Operator>& operators, const engine::Execution<Scalar>& execution)
        : owned_(operators.size(), &execution.memory()), pointers_(&execution.memory()) {
      pointers_.reserve(operators.size());
      for (std::size_t h = 0; h < operators.size(); ++h) pointers_.push_back(&owned_[h].emplace(operators[h]));
    }
    AnyAttention<Scalar> attention() const { return AnyAttention<Scalar>(pointers_); }

   private:
    engine::LineVector<std::optional<Untyped<Scalar>>> owned_;
    engine::LineVector<const AnyOperator<Scalar>*> pointers_;
  };

  template <class Q, class Ke, class V, class Scalar, class E>
  void regress(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value, const HeadView<Scalar>& out,
               const detail::Offsets& sequences, const E& executor) const {
    constexpr bool stored = detail::reads_16_bits<Scalar, Q, Ke, V>;
    if constexpr (!stored) check_operands<Q, Ke, V, Scalar>();
    const engine::Execution<Scalar> execution(executor);
    const Heads<Scalar> heads(operators_, execution);
    if constexpr (stored) {
      detail::StoredAttention<Scalar>::run(heads.attention(), constant(query), constant(key), constant(value), out, sequences, execution);
    } else {
      heads.attention().run(query, key, value, out, sequences, execution);
    }
  }
  template <class Q, class Ke, class V, class Scalar, class E>
  void record(const HeadView<Q>& query, const HeadView<Ke>& key, const HeadView<V>& value, const HeadView<Scalar>& out,
              const detail::Offsets& sequences, AttentionTape<Scalar>& tape, const E& executor) const {
    constexpr bool stored = detail::reads_16_bits<Scalar, Q, Ke, V>;
    if constexpr (!stored) check_operands<Q, Ke, V, Scalar>();
    const engine::Execution<Scalar> execution(executor);
    const Heads<Scalar> heads(operators_, execution);
    if constexpr (stored) {
      detail::StoredAttention<Scalar>::record(heads.attention(), constant(query), constant(key), constant(value), out, sequences, tape,
                                      execution);
    } else {
      heads.attention().record(query, key, value, out, sequences, tape, execution);
    }
  }
  template <class Q, class Stored, class Scalar, class E>
  void run_cached(const HeadView<Q>& query, std::span<const KeyValueCache<Stored, S>> caches, const HeadView<Scalar>& out,
                  const detail::Offsets& sequences, const E& executor) const {
    static_assert(std::is_same_v<detail::ComputedIn<std::remove_const_t<Q>>, detail::ComputedIn<Stored>>,
                  "query must have the scalar of the cache, float or 16 bits if that stores 16 bits");
    static_assert(std::is_same_v<detail::ComputedIn<std::remove_const_t<Q>>, Scalar> && !std::is_const_v<Scalar>,
                  "out must be writable, of the scalar of query, float if that is stored in 16 bits");
    const engine::Execution<Scalar> execution(executor);
    engine::LineVector<CachedHead<Scalar>> cached(&execution.memory());
    cached.reserve(caches.size());
    for (const auto& cache : caches) cached.push_back(detail::cached_head<Scalar>(cache));
    const Heads<Scalar> heads(operators_, execution);
    if constexpr (detail::stores_16_bits<Q>) {
      detail::StoredAttention<Scalar>::template run_cached<Stored>(heads.attention(), constant(query), cached, out, sequences, execution);
    } else {
      heads.attention().run_cached(query, cached, out, sequences, execution);
    }
  }

  template <class T>
  static HeadView<const std::remove_const_t<T>> constant(const HeadView<T>& view) {
    return view;
  }

  template <class Q, class Ke, class V, class Scalar>
  static constexpr void check_operands() {
    static_assert(detail::check_scalar<Scalar>());
    static_assert(!std::is_const_v<Scalar>, "out must be writable");
    static_assert(std::is_same_v<std::remove_const_t<Q>, Scalar> && std::is_same_v<std::remove_const_t<Ke>, Scalar> &&
                      std::is_same_v<std::remove_const_t<V>, Scalar>,
                  "query, key, value and out must have the same scalar");
  }

  std::vector<Operator> operators_;
};

template <class K>
Attention(K) -> Attention<K>;
template <class K, class N>
Attention(K, N) -> Attention<K, N>;
template <class K, class N, class P>
Attention(K, N, P) -> Attention<K, N, detail::SimilarityOf<P>, detail::MaskOf<P>>;
template <class K, class N, class S, class M>
Attention(K, N, S, M) -> Attention<K, N, S, M>;
template <class K, class N, class S, class M, class X>
Attention(K, N, S, M, X) -> Attention<K, N, S, M, X>;
template <class K, class N, class S, class M, class X>
Attention(std::vector<NadarayaWatson<K, N, S, M, X>>) -> Attention<K, N, S, M, X>;

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
