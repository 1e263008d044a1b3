// The calls of a sharded operator of which the scalar alone is known: compiled once, and not for each kernel, normalization,
// similarity and mask.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/cached_layout.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/dense_backward.hpp"
#include "nadaraya/sharded/dense_forward.hpp"
#include "nadaraya/sharded/gathered_queries.hpp"
#include "nadaraya/sharded/key_value_cache.hpp"
#include "nadaraya/sharded/layout.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/sharded/pulled_rows.hpp"
#include "nadaraya/sharded/row_chunks.hpp"
#include "nadaraya/sharded/row_floors.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/sparse_backward.hpp"
#include "nadaraya/sharded/sparse_forward.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// What a kernel tells of its rule.
template <Kernel K>
RuleNumbers rule_numbers(const K& kernel) {
  RuleNumbers numbers;
  numbers.centre = centre(kernel);
  if constexpr (K::compact) numbers.edge = edge(kernel);
  numbers.homogeneous = HomogeneousKernel<K>;
  if constexpr (ExponentialKernel<K>) numbers.rate = kernel.derivative(numbers.centre);
  return numbers;
}

/// An operator as its calls take it. Everything that it refers to must outlive it.
template <class Scalar>
struct CalledOperator {
  engine::HeadPolicies<Scalar> policies;
  RuleNumbers numbers;
  Mixing mixing = Mixing::gather_values;
  nadaraya::detail::FunctionRef<void(const Extent&)> validate_mask;

  bool sparse() const { return policies.rule->traits().sparse; }
};

/// A rank's part of a cache.
template <class Scalar>
struct CachedPart {
  Index keys = 0;  ///< rows
  Index cols = 0;  ///< D
  Index value_cols = 0;  ///< Dv
  engine::StoredRows<Scalar> value;
  const engine::PreparedKeys<Scalar>* prepared = nullptr;
  KeyPositions positions{};
  Index all_keys = 0;  ///< rows of all ranks
  double largest_value = 0;

  template <class Stored, class S>
  explicit CachedPart(const KeyValueCache<Stored, S>& cache)
      : keys(cache.local().rows()),
        cols(cache.local().key_cols()),
        value_cols(cache.local().value_cols()),
        prepared(cache.local().prepared()),
        positions(cache.positions()),
        all_keys(cache.rows()),
        largest_value(cache.largest_value()) {
    const auto values = cache.local().values();
    value = engine::View<Stored>{values.data(), values.rows(), values.cols(), values.cols()};
  }
};

/// One call of all ranks, of any function of Operator. `take` functions check a rank's operands and keep them; they, and all
/// else that may throw on one rank alone, are called where all ranks will hear of it.
template <class Scalar, class C>
class Calls {
 public:
  /// The operands of a rank, to be kept.
  using Take = nadaraya::detail::FunctionRef<void(Rows<Scalar>& query, Rows<Scalar>& key, Rows<Scalar>& value)>;
  using TakeRows = nadaraya::detail::FunctionRef<void(Rows<Scalar>& rows)>;
  using TakeParameters = nadaraya::detail::FunctionRef<void(const engine::ParameterSums<Scalar>& sums)>;

  /// Everything must outlive it.
  template <class E>
  Calls(C& ranks, const CalledOperator<Scalar>& op, const E& executor, const char* function)
      : session_(ranks), op_(op), function_(function) {
    session_.attempt([&] { execution_ = std::make_unique<engine::Execution<Scalar>>(executor); });
  }

  /// Fills `out` and the operands of `tape`, whose record is for `backward` alone.
  void regress(Call call, const Take& take, RowMatrix<Scalar>& out, Tape<Scalar>& tape) {
    const bool shards_queries = call == Call::prefill;
    Rows<Scalar> own_query;
    Brought mine{.call = call, .scalar_bytes = sizeof(Scalar)};
    tape.call_ = call;
    session_.attempt([&] {
      Rows<Scalar>& query = shards_queries ? own_query : tape.query_;
      take(query, tape.key_, tape.value_);
      bring(query.rows(), tape.key_.rows(), tape.key_.cols(), tape.value_.cols(), mine);
      if (!op_.sparse() || op_.mixing == Mixing::sum_values) mine.largest_value = largest_finite(tape.value_.view());
    });
    tape.layout_ = open_call(session_, mine, function_);
    if (shards_queries) {
      RowMatrix<Scalar> all;
      session_.attempt([&] { reserve(tape.layout_.all.queries); });
      gather_rows(session_, own_query, tape.layout_.all.queries, all);
      session_.attempt([&] { tape.query_.keep(std::move(all)); });
    }
    session_.attempt([&] { out.resize(tape.layout_.own_queries, tape.value_.cols()); });
    Record<Scalar>* const record = call == Call::regress ? nullptr : &tape.record_;
    run(tape.query_, tape.key_, tape.value_.view(), nullptr, tape.layout_, nullptr, out, record);
  }

  /// Fills `out` from a cache.
  void regress(const TakeRows& take, const CachedPart<Scalar>& cache, RowMatrix<Scalar>& out) {
    Layout layout;
    Rows<Scalar> query;
    const Rows<Scalar> no_keys(RowMatrix<Scalar>(0, cache.cols));
    CachedOpening opening(layout.largest_value, function_);
    session_.attempt([&] {
      Brought mine{.call = Call::regress_cached, .scalar_bytes = sizeof(Scalar)};
      take(query);
      bring(query.rows(), cache.keys, cache.cols, cache.value_cols, mine);
      mine.largest_value = cache.largest_value;
      mine.positions = cache.positions;
      mine.cached = cache.all_keys;
      out.resize(query.rows(), cache.value_cols);
      layout = cached_layout(session_.rank(), session_.size(), mine, function_);
      opening.bring(mine);
    });
    run(query, no_keys, cache.value, cache.prepared, layout, &opening, out, nullptr);
  }

  /// Fills the gradients of this rank's queries, keys and values, and hands over those of parameters.
  void backward(const Tape<Scalar>& tape, const TakeRows& take_grads, RowMatrix<Scalar>& grad_query, RowMatrix<Scalar>& grad_key,
                RowMatrix<Scalar>& grad_value, const TakeParameters& take_parameters) {
    const bool shards_queries = tape.call_ == Call::prefill;
    Brought mine{.call = Call::backward, .scalar_bytes = sizeof(Scalar), .queries = tape.queries()};
    Rows<Scalar> own_grads;
    RowMatrix<Scalar> all_grads;
    session_.attempt([&] {
      take_grads(own_grads);
      nadaraya::detail::require(own_grads.rows() == tape.own_queries() && own_grads.cols() == tape.value().cols(), function_,
                                ": grad_out must be [", tape.own_queries(), " x ", tape.value().cols(),
                                "] like the output, got ", nadaraya::detail::shape(own_grads));
      mine.cols = tape.query().cols();
      mine.value_cols = tape.value().cols();
      const Index dense_rows = op_.sparse() ? Index(0) : (std::min)(tape.queries(), dense_batch_rows);
      buffers_.reserve(3 * dense_rows, session_.size());
      buffers_.reserve_sums(dense_rows * (mine.cols + 2));
    });
    open_call(session_, mine, function_);
    if (shards_queries) gather_rows(session_, own_grads, tape.queries(), all_grads);
    const Shard<Scalar> shard{op_.policies, op_.numbers, &tape.query_, &tape.key_, nullptr, tape.value_.view(), session_.rank(),
                              tape.layout_};
    std::optional<PulledRows<Scalar>> pulled;
    session_.attempt([&] {
      grad_query.resize(tape.own_queries(), tape.query().cols());
      grad_key.resize(tape.key().rows(), tape.key().cols());
      grad_value.resize(tape.value().rows(), tape.value().cols());
      const engine::View<Scalar> of_all{all_grads.data(), all_grads.rows(), all_grads.cols(), all_grads.cols()};
      pulled.emplace(shard, WritableRows<Scalar>(grad_query).matrix(), WritableRows<Scalar>(grad_key).matrix(),
                     WritableRows<Scalar>(grad_value).matrix(), shards_queries ? of_all : own_grads.view());
    });
    session_.agree();
    if (op_.sparse()) {
      SparseBackward<Scalar, C>(session_, shard, tape.record_, buffers_, execution_, *pulled).run();
    } else {
      DenseBackward<Scalar, C>(session_, shard, tape.record_, buffers_, execution_, *pulled).run();
    }
    session_.attempt([&] { take_parameters(pulled->finish()); });
    session_.agree();
  }

 private:
  void bring(Index queries, Index keys, Index cols, Index value_cols, Brought& mine) {
    mine.queries = queries;
    mine.cols = cols;
    mine.keys = keys;
    mine.value_cols = value_cols;
    reserve(queries);
  }

  /// Takes the memory of what ranks tell each other of `queries` queries.
  void reserve(Index queries) {
    const Index rows = (std::min)(queries, batch_rows);
    constexpr Index riders = static_cast<Index>(CachedOpening::riders);
    buffers_.reserve((std::max)(RowFloors<Scalar>::room(rows), riders) + 1, session_.size());
  }

  void run(const Rows<Scalar>& query, const Rows<Scalar>& key, const engine::StoredRows<Scalar>& value,
           const engine::PreparedKeys<Scalar>* cached, const Layout& layout, CachedOpening* opening, RowMatrix<Scalar>& out,
           Record<Scalar>* record) {
    session_.attempt([&] { op_.validate_mask(layout.all); });
    const Shard<Scalar> shard{op_.policies, op_.numbers, &query, &key, cached, value, session_.rank(), layout};
    const bool sums_suffice = !op_.sparse() || (op_.numbers.sums_suffice() && op_.policies.mix == nullptr &&
                                                op_.mixing == Mixing::sum_values && record == nullptr);
    if (!sums_suffice) {
      SparseForward<Scalar, C>(session_, shard, opening, op_.mixing, buffers_, execution_).run(out, record);
    } else {
      DenseForward<Scalar, C>(session_, shard, opening, buffers_, execution_).run(out, record);
    }
    // Without queries there was nothing to ride on.
    if (opening != nullptr) opening->finish(session_);
    session_.end();
  }

  Session<C> session_;
  const CalledOperator<Scalar>& op_;
  Executing<Scalar> execution_;
  const char* function_;
  Buffers<Scalar> buffers_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
