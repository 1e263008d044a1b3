// Exact attention over keys and values that are sharded over ranks, such as the processes of an MPI job.
#pragma once

#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/operator/operands.hpp"
#include "nadaraya/operator/operator_checks.hpp"
#include "nadaraya/operator/operator_policies.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/dense_backward.hpp"
#include "nadaraya/sharded/dense_forward.hpp"
#include "nadaraya/sharded/gathered_queries.hpp"
#include "nadaraya/sharded/key_value_cache.hpp"
#include "nadaraya/sharded/layout.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/sharded/pulled_rows.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/sparse_backward.hpp"
#include "nadaraya/sharded/sparse_forward.hpp"
#include "nadaraya/sharded/tape.hpp"

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// A NadarayaWatson over keys and values of which every rank of a group holds a part: all ranks call the same functions with
/// the same operator, each with its own part, of any size, also none. Masks count positions in the sequence of all keys.
///   const sharded::Operator op(NadarayaWatson{Biweight{}, Adaptive{}, Causal{}});
///   out = op(ranks, query, my_keys, my_values);
///
/// The same bits for any sharding, one rank included, and any number of ranks; up to rounding those of the operator on one
/// machine. Of a compact kernel, or of nearest neighbours, the keys that may have weight travel, and every rank solves every
/// row from the same list. Of a Gaussian kernel nothing travels but maxima and sums, and these are exact (SplitAddition).
/// Traffic of a query: see SparseForward, DenseForward. One thread for each rank; ranks are to be processes or threads.
///
/// Errors: std::invalid_argument for shapes, parameters and masks, and for operands that do not fit together; std::bad_alloc;
/// std::runtime_error for any other exception. Whatever a rank throws, all ranks throw; outputs may be half written. What the
/// communicator throws is passed on. Special values as on one machine.
template <class K, class N, class S, class M>
class Operator {
  using One = NadarayaWatson<K, N, S, M>;
  static constexpr bool sparse = K::compact || SelectingNormalization<N>;
  static_assert(sparse || (ExponentialKernel<K> && (std::same_as<N, Adaptive> || std::same_as<N, FixedBandwidth> ||
                                                    std::same_as<N, Anchored> || std::same_as<N, Unnormalized>)),
                "sharded::Operator: a kernel that is not compact has to be exponential, such as Gaussian, and its normalization "
                "Adaptive, FixedBandwidth, Anchored, Unnormalized or NearestNeighbors");

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
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V>
  RowMatrix<ScalarOf<Q>> operator()(C& ranks, const Q& query, const Ke& key, const V& value) const {
    Tape<ScalarOf<Q>> operands;
    RowMatrix<ScalarOf<Q>> out;
    regress<ScalarOf<Q>>(ranks, Call::regress, query, key, value, out, operands, nullptr, "sharded::Operator::operator()");
    return out;
  }

  /// The same on the keys and values of a cache, of which every rank has its own.
  template <Communicator C, RealExpression Q>
  RowMatrix<ScalarOf<Q>> operator()(C& ranks, const Q& query, const KeyValueCache<ScalarOf<Q>, S>& cache) const {
    using Scalar = ScalarOf<Q>;
    const char* const function = "sharded::Operator::operator()";
    RowMatrix<Scalar> out;
    Session<C> session(ranks);
    Buffers<Scalar> buffers;
    Brought mine{.call = Call::regress_cached, .scalar_bytes = sizeof(Scalar)};
    std::optional<Rows<Scalar>> queries;
    const auto& local = cache.local();
    const auto values = local.values();
    const engine::View<Scalar> value{values.data(), values.rows(), values.cols(), values.cols()};
    session.attempt([&] {
      validate<Scalar>(query, local.keys(), values, function);
      bring(query, local.keys(), value, mine, buffers);
      mine.positions = cache.positions();
      mine.cached = cache.rows();
      queries.emplace(query);
    });
    Layout layout = open_call(session, mine, function);
    const Rows<Scalar> no_keys(RowMatrix<Scalar>(0, query.cols()));
    session.attempt([&] { out.resize(query.rows(), value.cols); });
    run<Scalar>(session, *queries, no_keys, value, local.prepared(), layout, buffers, out, nullptr);
    return out;
  }

  /// The regression with a record for `backward`. `out` becomes [Nq x Dv], the same on all ranks.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V>
  Tape<ScalarOf<Q>> forward(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<ScalarOf<Q>>& out) const {
    Tape<ScalarOf<Q>> tape;
    regress<ScalarOf<Q>>(ranks, Call::forward, std::forward<Q>(query), std::forward<Ke>(key), std::forward<V>(value), out, tape,
            &tape.record_, "sharded::Operator::forward");
    return tape;
  }

  /// The same of queries that are sharded too: each rank gives its own, which follow those of the rank before, and gets the
  /// rows of `out` that are theirs. Masks count the queries of all ranks.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V>
  Tape<ScalarOf<Q>> prefill(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<ScalarOf<Q>>& out) const {
    Tape<ScalarOf<Q>> tape;
    regress<ScalarOf<Q>>(ranks, Call::prefill, std::forward<Q>(query), std::forward<Ke>(key), std::forward<V>(value), out, tape,
            &tape.record_, "sharded::Operator::prefill");
    return tape;
  }

  /// The gradients of a loss, given grad_out = dL/dout of the rows of `out` that this rank got. That of the query is of the
  /// queries that this rank gave, those of key and value of its own keys, those of parameters are the same on all ranks.
  template <Communicator C, class Scalar, RealExpression G>
  typename One::template GradientsOf<Scalar> backward(C& ranks, const Tape<Scalar>& tape, const G& grad_out) const {
    static_assert(std::is_same_v<ScalarOf<G>, Scalar>, "grad_out must have the scalar of the forward pass");
    static_assert(sparse || (!ParametricSimilarity<S, Scalar> && !ParametricBias<M, Scalar>),
                  "sharded::Operator::backward: the gradients of a policy's own parameters are summed over ranks for kernels "
                  "that are compact, and for NearestNeighbors");
    using Gradients = typename One::template GradientsOf<Scalar>;
    const char* const function = "sharded::Operator::backward";
    Gradients grads;
    Session<C> session(ranks);
    Buffers<Scalar> buffers;
    Brought mine{.call = Call::backward, .scalar_bytes = sizeof(Scalar), .queries = tape.queries()};
    std::optional<Rows<Scalar>> own_grads;
    RowMatrix<Scalar> all_grads;
    session.attempt([&] {
      nadaraya::detail::require(grad_out.rows() == tape.own_queries() && grad_out.cols() == tape.value().cols(), function,
                                ": grad_out must be [", tape.own_queries(), " x ", tape.value().cols(),
                                "] like the output, got ", nadaraya::detail::shape(grad_out));
      mine.value_cols = tape.value().cols();
      mine.cols = tape.query().cols();
      buffers.reserve((std::max)(mine.cols, mine.value_cols));
      own_grads.emplace(grad_out);
    });
    open_call(session, mine, function);
    if (tape.call_ == Call::prefill) gather_rows(session, *own_grads, tape.queries(), all_grads);
    const auto policies = this->policies<Scalar>();
    const Shard<Scalar> shard{policies.get(), numbers(), &tape.query_, &tape.key_, nullptr, tape.value_.view(), session.rank(),
                              tape.layout_};
    std::optional<PulledRows<Scalar>> pulled;
    session.attempt([&] {
      grads.query.resize(tape.own_queries(), tape.query().cols());
      grads.key.resize(tape.key().rows(), tape.key().cols());
      grads.value.resize(tape.value().rows(), tape.value().cols());
      const engine::View<Scalar> of_all{all_grads.data(), all_grads.rows(), all_grads.cols(), all_grads.cols()};
      pulled.emplace(shard, WritableRows<Scalar>(grads.query).matrix(), WritableRows<Scalar>(grads.key).matrix(),
                     WritableRows<Scalar>(grads.value).matrix(), tape.call_ == Call::prefill ? of_all : own_grads->view());
    });
    session.agree();
    if constexpr (sparse) {
      SparseBackward<Scalar, C>(session, shard, tape.record_, *pulled).run();
    } else {
      DenseBackward<Scalar, C>(session, shard, tape.record_, buffers, *pulled).run();
    }
    session.attempt([&] {
      using Parameters = typename One::template ParametersOf<Scalar>;
      static_cast<Parameters&>(grads) =
          nadaraya::detail::no_parameters<Parameters, Scalar>(one_.similarity(), one_.mask());
      grads += pulled->finish();
    });
    session.agree();
    return grads;
  }

 private:
  template <class Scalar>
  nadaraya::detail::OperatorPolicies<Scalar, K, N, S, M, LocalConstant> policies() const {
    return {one_.kernel(), one_.normalization(), one_.similarity(), one_.mask(), one_.mix(), one_.screening()};
  }

  RuleNumbers numbers() const {
    RuleNumbers numbers;
    numbers.centre = centre(one_.kernel());
    if constexpr (K::compact) numbers.edge = edge(one_.kernel());
    if constexpr (ExponentialKernel<K>) numbers.rate = one_.kernel().derivative(numbers.centre);
    if constexpr (HasBandwidth<N>) numbers.bandwidth = one_.normalization().bandwidth;
    numbers.divides_by_sum = !std::same_as<N, Unnormalized>;
    return numbers;
  }

  /// Checks what a rank can check alone.
  template <class Scalar, class Q, class Ke, class V>
  void validate(const Q& query, const Ke& key, const V& value, const char* function) const {
    static_assert(engine::vectorized<Scalar>, "sharded::Operator computes in float and double");
    static_assert(std::is_same_v<ScalarOf<Ke>, Scalar> && std::is_same_v<ScalarOf<V>, Scalar>,
                  "query, key and value must have the same scalar");
    static_assert(nadaraya::detail::check_operator<Scalar, K, N, S, M>());
    nadaraya::detail::require_query_and_key(query.rows(), query.cols(), key.rows(), key.cols(), function);
    nadaraya::detail::require_key_and_value(key.rows(), key.cols(), value.rows(), value.cols(), function);
    nadaraya::detail::validate_parameters<Scalar>(one_.kernel(), one_.normalization(), one_.similarity());
  }

  template <class Scalar, class Q, class Ke>
  void bring(const Q& query, const Ke& key, const engine::View<Scalar>& value, Brought& mine, Buffers<Scalar>& buffers) const {
    mine.queries = query.rows();
    mine.cols = key.cols();
    mine.keys = key.rows();
    mine.value_cols = value.cols;
    if (!sparse || mixing_ == Mixing::sum_values) mine.largest_value = largest_finite(value);
    buffers.reserve((std::max)(mine.cols, mine.value_cols));
  }

  template <class Scalar, class C, class Q, class Ke, class V>
  void regress(C& ranks, Call call, Q&& query, Ke&& key, V&& value, RowMatrix<Scalar>& out, Tape<Scalar>& tape,
               Record<Scalar>* record, const char* function) const {
    Session<C> session(ranks);
    Buffers<Scalar> buffers;
    Brought mine{.call = call, .scalar_bytes = sizeof(Scalar)};
    Rows<Scalar> own_query;
    tape.call_ = call;
    session.attempt([&] {
      validate<Scalar>(query, key, value, function);
      (call == Call::prefill ? own_query : tape.query_).keep(std::forward<Q>(query));
      tape.key_.keep(std::forward<Ke>(key));
      tape.value_.keep(std::forward<V>(value));
      bring(call == Call::prefill ? own_query : tape.query_, tape.key_, tape.value_.view(), mine, buffers);
    });
    tape.layout_ = open_call(session, mine, function);
    if (call == Call::prefill) {
      RowMatrix<Scalar> all;
      gather_rows(session, own_query, tape.layout_.all.queries, all);
      session.attempt([&] { tape.query_.keep(std::move(all)); });
    }
    session.attempt([&] { out.resize(tape.layout_.own_queries, tape.value_.cols()); });
    run<Scalar>(session, tape.query_, tape.key_, tape.value_.view(), nullptr, tape.layout_, buffers, out, record);
  }

  template <class Scalar, class C>
  void run(Session<C>& session, const Rows<Scalar>& query, const Rows<Scalar>& key, const engine::View<Scalar>& value,
           const engine::PreparedKeys<Scalar>* cached, const Layout& layout, Buffers<Scalar>& buffers, RowMatrix<Scalar>& out,
           Record<Scalar>* record) const {
    session.attempt([&] { nadaraya::detail::validate_mask(one_.mask(), layout.all); });
    const auto policies = this->policies<Scalar>();
    const Shard<Scalar> shard{policies.get(), numbers(), &query, &key, cached, value, session.rank(), layout};
    if constexpr (sparse) {
      SparseForward<Scalar, C>(session, shard, mixing_, buffers).run(out, record);
    } else {
      DenseForward<Scalar, C>(session, shard, buffers).run(out, record);
    }
  }

  One one_;
  Mixing mixing_ = Mixing::gather_values;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
