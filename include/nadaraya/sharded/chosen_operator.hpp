// A sharded operator whose kernel, normalization, similarity and mask are chosen at run time.
#pragma once

#include "nadaraya/chosen_operator.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/make_operator.hpp"
#include "nadaraya/operator/operator_checks.hpp"
#include "nadaraya/operator_options.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/calls.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/key_value_cache.hpp"
#include "nadaraya/sharded/mixing.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// The gradients of the operands of a rank.
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
  /// Throws std::invalid_argument if the options are not valid, and for a mix other than constant where rows are not sparse: the
  /// Gaussian kernel under another normalization than nearest.
  explicit ChosenOperator(const OperatorOptions& options, Mixing mixing = Mixing::gather_values)
      : one_(make_operator<Scalar>(options)), numbers_(numbers_of(options)), mixing_(mixing) {
    nadaraya::detail::require(options.mix == "constant" || one_.policies().rule->traits().sparse, "sharded::ChosenOperator: ",
                              options.named("mix", options.mix), " has to know all keys of a support, and ",
                              options.named("kernel", options.kernel), " gives weight to all of them on all ranks");
  }

  /// As Operator::operator() on a cache, whose similarity must be that of the options.
  template <Communicator C, RealExpression Q, class Stored, class S, Executor E = Serial>
  RowMatrix<Scalar> operator()(C& ranks, const Q& query, const KeyValueCache<Stored, S>& cache, const E& executor = {}) const {
    static_assert(std::is_same_v<Scalar, nadaraya::detail::ComputedIn<Stored>>, "query must have the scalar of the cache");
    const char* const function = "sharded::ChosenOperator::operator()";
    RowMatrix<Scalar> out;
    called([&](const CalledOperator<Scalar>& op) {
      const auto take = [&](Rows<Scalar>& rows) {
        nadaraya::detail::require_operands(query, cache.local().keys(), cache.local().values(), function);
        rows = Rows<Scalar>(query);
      };
      Calls<Scalar, C>(ranks, op, executor, function).regress(take, CachedPart<Scalar>(cache), out);
    });
    return out;
  }

  /// As Operator::prefill.
  template <Communicator C, RealExpression Q, RealExpression Ke, RealExpression V, Executor E = Serial>
  Tape<Scalar> prefill(C& ranks, Q&& query, Ke&& key, V&& value, RowMatrix<Scalar>& out, const E& executor = {}) const {
    const char* const function = "sharded::ChosenOperator::prefill";
    Tape<Scalar> tape;
    called([&](const CalledOperator<Scalar>& op) {
      const auto take = [&](Rows<Scalar>& queries, Rows<Scalar>& keys, Rows<Scalar>& values) {
        nadaraya::detail::require_operands(query, key, value, function);
        queries.keep(std::forward<Q>(query));
        keys.keep(std::forward<Ke>(key));
        values.keep(std::forward<V>(value));
      };
      Calls<Scalar, C>(ranks, op, executor, function).regress(Call::prefill, take, out, tape);
    });
    return tape;
  }

  /// As Operator::backward, without the gradients of parameters.
  template <Communicator C, RealExpression G, Executor E = Serial>
  OperandGradients<Scalar> backward(C& ranks, const Tape<Scalar>& tape, const G& grad_out, const E& executor = {}) const {
    OperandGradients<Scalar> grads;
    called([&](const CalledOperator<Scalar>& op) {
      const auto take = [&](Rows<Scalar>& rows) { rows = Rows<Scalar>(grad_out); };
      const auto ignore = [](const engine::ParameterSums<Scalar>&) {};
      Calls<Scalar, C>(ranks, op, executor, "sharded::ChosenOperator::backward")
          .backward(tape, take, grads.query, grads.key, grads.value, ignore);
    });
    return grads;
  }

 private:
  static RuleNumbers numbers_of(const OperatorOptions& options) {
    RuleNumbers numbers = with_kernel(options, [](const auto& kernel) { return rule_numbers(kernel); });
    numbers.bandwidth = options.bandwidth.value_or(0.0);
    numbers.divides_by_sum = options.normalization != "unnormalized";
    numbers.fixed = options.normalization == "fixed" || options.normalization == "unnormalized";
    return numbers;
  }

  /// work(the operator as its calls take it).
  template <class Work>
  void called(const Work& work) const {
    const auto validate_mask = [&](const Extent& all) { one_.validate(all); };
    work(CalledOperator<Scalar>{one_.policies(), numbers_, mixing_, validate_mask});
  }

  nadaraya::ChosenOperator<Scalar> one_;
  RuleNumbers numbers_;
  Mixing mixing_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
