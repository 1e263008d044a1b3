// A sharded operator whose kernel, normalization, similarity and mask are chosen at run time.
#pragma once

#include "nadaraya/chosen_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/make_operator.hpp"
#include "nadaraya/operator/operands.hpp"
#include "nadaraya/operator/operator_checks.hpp"
#include "nadaraya/operator_options.hpp"
#include "nadaraya/rows.hpp"
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
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// The gradients of the operands of a ChosenOperator: of the queries that the rank gave, and of its own keys and values.
template <class Scalar>
struct OperandGradients {
  RowMatrix<Scalar> query;  ///< [own queries x D]
  RowMatrix<Scalar> key;    ///< [own keys x D]
  RowMatrix<Scalar> value;  ///< [own keys x Dv]
};

/// Operator for policies that options name: results, traffic and errors are those of Operator. Nothing is compiled again for
/// another kernel, normalization, similarity or mask.
template <class Scalar>
class ChosenOperator {
 public:
  /// Throws std::invalid_argument if the options are not valid.
  explicit ChosenOperator(const OperatorOptions& options, Mixing mixing = Mixing::gather_values)
      : one_(make_operator<Scalar>(options)), numbers_(numbers_of(options)), mixing_(mixing) {}

  /// As Operator::prefill.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V>
  Tape<Scalar> prefill(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<Scalar>& out) const {
    const char* const function = "sharded::ChosenOperator::prefill";
    Tape<Scalar> tape;
    tape.call_ = Call::prefill;
    Session<C> session(ranks);
    Buffers<Scalar> buffers;
    Brought mine{.call = tape.call_, .scalar_bytes = sizeof(Scalar)};
    Rows<Scalar> own_query;
    session.attempt([&] {
      require_shapes(query, key, value, function);
      own_query.keep(std::forward<Q>(query));
      tape.key_.keep(std::forward<Ke>(key));
      tape.value_.keep(std::forward<V>(value));
      bring(own_query, tape.key_, tape.value_.view(), mine, buffers);
    });
    tape.layout_ = open_call(session, mine, function);
    RowMatrix<Scalar> all;
    gather_rows(session, own_query, tape.layout_.all.queries, all);
    session.attempt([&] {
      tape.query_.keep(std::move(all));
      out.resize(tape.layout_.own_queries, tape.value_.cols());
    });
    run(session, tape.query_, tape.key_, tape.value_.view(), nullptr, tape.layout_, buffers, out, &tape.record_);
    return tape;
  }

  /// As Operator::operator() on a cache, whose similarity must be that of the options.
  template <Communicator C, RealExpression Q, class S>
  RowMatrix<Scalar> operator()(C& ranks, const Q& query, const KeyValueCache<Scalar, S>& cache) const {
    const char* const function = "sharded::ChosenOperator::operator()";
    RowMatrix<Scalar> out;
    Session<C> session(ranks);
    Buffers<Scalar> buffers;
    Brought mine{.call = Call::regress_cached, .scalar_bytes = sizeof(Scalar)};
    std::optional<Rows<Scalar>> queries;
    const auto& local = cache.local();
    const auto values = local.values();
    const engine::View<Scalar> value{values.data(), values.rows(), values.cols(), values.cols()};
    session.attempt([&] {
      require_shapes(query, local.keys(), values, function);
      bring(query, local.keys(), value, mine, buffers);
      mine.positions = cache.positions();
      mine.cached = cache.rows();
      queries.emplace(query);
    });
    const Layout layout = open_call(session, mine, function);
    const Rows<Scalar> no_keys(RowMatrix<Scalar>(0, query.cols()));
    session.attempt([&] { out.resize(query.rows(), value.cols); });
    run(session, *queries, no_keys, value, local.prepared(), layout, buffers, out, nullptr);
    return out;
  }

  /// As Operator::backward of a tape of `prefill`, without the gradients of parameters.
  template <Communicator C, RealExpression G>
  OperandGradients<Scalar> backward(C& ranks, const Tape<Scalar>& tape, const G& grad_out) const {
    const char* const function = "sharded::ChosenOperator::backward";
    OperandGradients<Scalar> grads;
    Session<C> session(ranks);
    Buffers<Scalar> buffers;
    Brought mine{.call = Call::backward, .scalar_bytes = sizeof(Scalar), .queries = tape.queries()};
    std::optional<Rows<Scalar>> own_grads;
    RowMatrix<Scalar> all_grads;
    session.attempt([&] {
      nadaraya::detail::require(grad_out.rows() == tape.own_queries() && grad_out.cols() == tape.value().cols(), function,
                                ": grad_out must be [", tape.own_queries(), " x ", tape.value().cols(),
                                "] like the output, got ", nadaraya::detail::shape(grad_out));
      mine.cols = tape.query().cols();
      mine.value_cols = tape.value().cols();
      buffers.reserve((std::max)(mine.cols, mine.value_cols));
      own_grads.emplace(grad_out);
    });
    open_call(session, mine, function);
    gather_rows(session, *own_grads, tape.queries(), all_grads);
    const Shard<Scalar> shard{one_.policies(), numbers_, &tape.query_, &tape.key_, nullptr, tape.value_.view(),
                              session.rank(), tape.layout_};
    std::optional<PulledRows<Scalar>> pulled;
    session.attempt([&] {
      grads.query.resize(tape.own_queries(), tape.query().cols());
      grads.key.resize(tape.key().rows(), tape.key().cols());
      grads.value.resize(tape.value().rows(), tape.value().cols());
      pulled.emplace(shard, WritableRows<Scalar>(grads.query).matrix(), WritableRows<Scalar>(grads.key).matrix(),
                     WritableRows<Scalar>(grads.value).matrix(),
                     engine::View<Scalar>{all_grads.data(), all_grads.rows(), all_grads.cols(), all_grads.cols()});
    });
    session.agree();
    if (sparse()) {
      SparseBackward<Scalar, C>(session, shard, tape.record_, *pulled).run();
    } else {
      DenseBackward<Scalar, C>(session, shard, tape.record_, buffers, *pulled).run();
    }
    session.attempt([&] { pulled->finish(); });
    session.agree();
    return grads;
  }

 private:
  bool sparse() const { return one_.policies().rule->traits().sparse; }

  static RuleNumbers numbers_of(const OperatorOptions& options) {
    RuleNumbers numbers = with_kernel(options, []<class K>(const K& kernel) {
      RuleNumbers of_kernel;
      of_kernel.centre = centre(kernel);
      if constexpr (K::compact) of_kernel.edge = edge(kernel);
      if constexpr (ExponentialKernel<K>) of_kernel.rate = kernel.derivative(of_kernel.centre);
      return of_kernel;
    });
    numbers.bandwidth = options.bandwidth.value_or(0.0);
    numbers.divides_by_sum = options.normalization != "unnormalized";
    return numbers;
  }

  template <class Q, class Ke, class V>
  static void require_shapes(const Q& query, const Ke& key, const V& value, const char* function) {
    nadaraya::detail::require_query_and_key(query.rows(), query.cols(), key.rows(), key.cols(), function);
    nadaraya::detail::require_key_and_value(key.rows(), key.cols(), value.rows(), value.cols(), function);
  }

  template <class Q, class Ke>
  void bring(const Q& query, const Ke& key, const engine::View<Scalar>& value, Brought& mine, Buffers<Scalar>& buffers) const {
    mine.queries = query.rows();
    mine.cols = key.cols();
    mine.keys = key.rows();
    mine.value_cols = value.cols;
    if (!sparse() || mixing_ == Mixing::sum_values) mine.largest_value = largest_finite(value);
    buffers.reserve((std::max)(mine.cols, mine.value_cols));
  }

  template <class C>
  void run(Session<C>& session, const Rows<Scalar>& query, const Rows<Scalar>& key, const engine::View<Scalar>& value,
           const engine::PreparedKeys<Scalar>* cached, const Layout& layout, Buffers<Scalar>& buffers, RowMatrix<Scalar>& out,
           Record<Scalar>* record) const {
    const Shard<Scalar> shard{one_.policies(), numbers_, &query, &key, cached, value, session.rank(), layout};
    if (sparse()) {
      SparseForward<Scalar, C>(session, shard, mixing_, buffers).run(out, record);
    } else {
      DenseForward<Scalar, C>(session, shard, buffers).run(out, record);
    }
  }

  nadaraya::ChosenOperator<Scalar> one_;
  RuleNumbers numbers_;
  Mixing mixing_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
