// Exact attention over keys and values that are sharded over ranks, such as the processes of an MPI job.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/mix/local_constant.hpp"
#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/operator/operator_checks.hpp"
#include "nadaraya/operator/operator_policies.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/calls.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/key_value_cache.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <concepts>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// A NadarayaWatson over keys and values of which every rank of a group holds a part: all ranks call the same functions with
/// the same operator, each with its own part, of any size, also none. Masks count positions in the sequence of all keys.
///   const sharded::Operator op(NadarayaWatson{Biweight{}, Adaptive{}, Causal{}});
///   out = op(ranks, query, my_keys, my_values);
///
/// The same bits for any sharding, one rank included, and any number of ranks. Of a compact kernel, or of nearest neighbours, the
/// keys that may have weight travel, and every rank solves every row from the same list; where this saves bytes, each rank a part of
/// the rows, and in the backward pass pulls the same rows back. Of a Gaussian kernel nothing travels but maxima and sums, and these
/// are exact (SplitAddition). Traffic of a query: see SparseForward, DenseForward. Ranks are processes or threads. Each call takes an
/// executor, for the work of its rank alone: Threads{n}, or a Workspace, which keeps the engine's memory from call to call; the bits
/// do not depend on it.
///
/// FixedBandwidth, Unnormalized (under a compact kernel) and NearestNeighbors also have the bits of the operator on one machine,
/// outputs and the gradients of query, key and value, where values are gathered, as long as a row's support is less than 64 keys
/// or half of those from its first to its last, and one machine screens all blocks or none: it screens none under a similarity that
/// is no dot product, of fewer than 32 queries or 320 keys, and with Screening::never. Other results are those of one machine up to
/// rounding: keys without weight, of which ranks know others, take part in the last bits of a threshold.
///
/// Under another mix than the weighted mean, such as LocalLinear, the keys of candidates travel too, in both passes. The bits are those
/// of one machine under the same conditions, of keys stored as scalars, and for gradients of at most 1,824 queries, beyond which
/// one machine sums those of keys in parts.
///
/// Errors: std::invalid_argument for shapes, parameters and masks, and for operands that do not fit together; std::bad_alloc;
/// std::runtime_error for any other exception. Whatever a rank throws, all ranks throw; outputs may be half written. What the
/// communicator throws is passed on. Special values as on one machine.
template <class K, class N, class S, class M, class X = LocalConstant>
class Operator {
  using One = NadarayaWatson<K, N, S, M, X>;
  static constexpr bool is_mean = std::same_as<X, LocalConstant>;
  static constexpr bool sparse = K::compact || SelectingNormalization<N>;
  static_assert(sparse || (ExponentialKernel<K> && (std::same_as<N, Adaptive> || std::same_as<N, FixedBandwidth> ||
                                                    std::same_as<N, Anchored> || std::same_as<N, Unnormalized>)),
                "sharded::Operator: a kernel that is not compact has to be exponential, such as Gaussian, and its normalization "
                "Adaptive, FixedBandwidth, Anchored, Unnormalized or NearestNeighbors");
  static_assert(sparse || is_mean,
                "sharded::Operator: a mix other than LocalConstant has to know all keys of a support: its kernel has to be compact, or "
                "its normalization NearestNeighbors");

 public:
  /// The same operator, sharded.
  explicit Operator(One on_one_machine) : one_(std::move(on_one_machine)) {}

  const One& on_one_machine() const { return one_; }  ///< The operator of one machine.
  Mixing mixing() const { return mixing_; }  ///< How outputs of sparse rows are mixed.

  /// Returns a copy that mixes in the given way.
  Operator with(Mixing mixing) const {
    Operator other = *this;
    other.mixing_ = mixing;
    return other;
  }

  /// The regression of queries [Nq x D] that all ranks have, on keys [n x D] and values [n x Dv] of this rank, which follow
  /// those of the rank before. Returns [Nq x Dv], the same on all ranks.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V, Executor E = Serial>
  RowMatrix<ScalarOf<Q>> operator()(C& ranks, const Q& query, const Ke& key, const V& value, const E& executor = {}) const {
    Tape<ScalarOf<Q>> operands;
    RowMatrix<ScalarOf<Q>> out;
    regress<ScalarOf<Q>>(ranks, Call::regress, query, key, value, out, operands, executor, "sharded::Operator::operator()");
    return out;
  }

  /// The same on the keys and values of a cache, of which every rank has its own.
  template <Communicator C, RealExpression Q, class Stored, Executor E = Serial>
  RowMatrix<ScalarOf<Q>> operator()(C& ranks, const Q& query, const KeyValueCache<Stored, S>& cache, const E& executor = {}) const {
    using Scalar = ScalarOf<Q>;
    static_assert(std::is_same_v<Scalar, nadaraya::detail::ComputedIn<Stored>>, "query must have the scalar of the cache");
    const char* const function = "sharded::Operator::operator()";
    RowMatrix<Scalar> out;
    called<Scalar>([&](const CalledOperator<Scalar>& op) {
      const auto take = [&](Rows<Scalar>& rows) {
        const auto& local = cache.local();
        validate<Scalar>(query, local.keys(), local.values(), function);
        rows = Rows<Scalar>(query);
      };
      Calls<Scalar, C>(ranks, op, executor, function).regress(take, CachedPart<Scalar>(cache), out);
    });
    return out;
  }

  /// The regression with a record for `backward`. `out` becomes [Nq x Dv], the same on all ranks.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V, Executor E = Serial>
  Tape<ScalarOf<Q>> forward(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<ScalarOf<Q>>& out, const E& executor = {}) const {
    Tape<ScalarOf<Q>> tape;
    regress<ScalarOf<Q>>(ranks, Call::forward, std::forward<Q>(query), std::forward<Ke>(key), std::forward<V>(value), out, tape,
                         executor, "sharded::Operator::forward");
    return tape;
  }

  /// The same of queries that are sharded too: each rank gives its own, which follow those of the rank before, and gets the
  /// rows of `out` that are theirs. Masks count the queries of all ranks.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V, Executor E = Serial>
  Tape<ScalarOf<Q>> prefill(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<ScalarOf<Q>>& out, const E& executor = {}) const {
    Tape<ScalarOf<Q>> tape;
    regress<ScalarOf<Q>>(ranks, Call::prefill, std::forward<Q>(query), std::forward<Ke>(key), std::forward<V>(value), out, tape,
                         executor, "sharded::Operator::prefill");
    return tape;
  }

  /// The gradients of a loss, given grad_out = dL/dout of the rows of `out` that this rank got. That of the query is of the
  /// queries that this rank gave, those of key and value of its own keys, those of parameters are the same on all ranks.
  template <Communicator C, class Scalar, RealExpression G, Executor E = Serial>
  typename One::template GradientsOf<Scalar> backward(C& ranks, const Tape<Scalar>& tape, const G& grad_out,
                                                      const E& executor = {}) const {
    static_assert(std::is_same_v<ScalarOf<G>, Scalar>, "grad_out must have the scalar of the forward pass");
    static_assert(sparse || (!ParametricSimilarity<S, Scalar> && !ParametricBias<M, Scalar>),
                  "sharded::Operator::backward: the gradients of a policy's own parameters are summed over ranks for kernels "
                  "that are compact, and for NearestNeighbors");
    typename One::template GradientsOf<Scalar> grads;
    called<Scalar>([&](const CalledOperator<Scalar>& op) {
      const auto take = [&](Rows<Scalar>& rows) { rows = Rows<Scalar>(grad_out); };
      const auto take_parameters = [&](const engine::ParameterSums<Scalar>& sums) {
        using Parameters = typename One::template ParametersOf<Scalar>;
        static_cast<Parameters&>(grads) = nadaraya::detail::no_parameters<Parameters, Scalar>(one_.similarity(), one_.mask());
        grads += sums;
      };
      Calls<Scalar, C>(ranks, op, executor, "sharded::Operator::backward")
          .backward(tape, take, grads.query, grads.key, grads.value, take_parameters);
    });
    return grads;
  }

 private:
  /// work(the operator as its calls take it).
  template <class Scalar, class Work>
  void called(const Work& work) const {
    const nadaraya::detail::OperatorPolicies<Scalar, K, N, S, M, X> policies(
        one_.kernel(), one_.normalization(), one_.similarity(), one_.mask(), one_.mix(), one_.screening());
    const auto validate_mask = [&](const Extent& all) { nadaraya::detail::validate_mask(one_.mask(), all); };
    work(CalledOperator<Scalar>{policies.get(), numbers(), mixing_, validate_mask});
  }

  RuleNumbers numbers() const {
    RuleNumbers numbers = rule_numbers(one_.kernel());
    if constexpr (HasBandwidth<N>) numbers.bandwidth = one_.normalization().bandwidth;
    numbers.divides_by_sum = !std::same_as<N, Unnormalized>;
    numbers.fixed = std::same_as<N, FixedBandwidth> || std::same_as<N, Unnormalized>;
    return numbers;
  }

  /// Checks what a rank can check alone.
  template <class Scalar, class Q, class Ke, class V>
  void validate(const Q& query, const Ke& key, const V& value, const char* function) const {
    static_assert(engine::vectorized<Scalar>, "sharded::Operator computes in float and double");
    static_assert(nadaraya::detail::check_operator<Scalar, K, N, S, M>());
    nadaraya::detail::require_operands(query, key, value, function);
    nadaraya::detail::validate_parameters<Scalar>(one_.kernel(), one_.normalization(), one_.similarity());
    nadaraya::detail::validate_dimension<Scalar>(one_.similarity(), one_.mix(), key.cols());
  }

  template <class Scalar, class C, class Q, class Ke, class V, class E>
  void regress(C& ranks, Call call, Q&& query, Ke&& key, V&& value, RowMatrix<Scalar>& out, Tape<Scalar>& tape,
               const E& executor, const char* function) const {
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar> && std::is_same_v<ScalarOf<V>, Scalar>,
                  "query, key and value must have the same scalar");
    called<Scalar>([&](const CalledOperator<Scalar>& op) {
      const auto take = [&](Rows<Scalar>& queries, Rows<Scalar>& keys, Rows<Scalar>& values) {
        validate<Scalar>(query, key, value, function);
        queries.keep(std::forward<Q>(query));
        keys.keep(std::forward<Ke>(key));
        values.keep(std::forward<V>(value));
      };
      Calls<Scalar, C>(ranks, op, executor, function).regress(call, take, out, tape);
    });
  }

  One one_;
  Mixing mixing_ = Mixing::gather_values;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
