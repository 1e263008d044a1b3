// Many heads on inputs of which some are stored in 16 bits, computed in float.
#pragma once

#include "nadaraya/any_attention.hpp"
#include "nadaraya/attention_tape.hpp"
#include "nadaraya/cached_head.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/operator/operator_checks.hpp"
#include "nadaraya/scalar_heads.hpp"
#include "nadaraya/stored_inputs.hpp"
#include "nadaraya/types.hpp"

#include <memory>
#include <span>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// The calls of AnyAttention<float> with such inputs: Q, Ke and V are float, Eigen::bfloat16 or Eigen::half. Scalar is float: a
/// parameter, so that including this header instantiates nothing.
template <class Scalar>
class StoredAttention {
  static_assert(std::is_same_v<Scalar, float>, "inputs of 16 bits are computed in float");

 public:
  /// Keys and values are read where they are, as those of caches are, unless the similarity of a head changes keys.
  template <class Q, class Ke, class V>
  static void run(const AnyAttention<Scalar>& attention, const HeadView<const Q>& query, const HeadView<const Ke>& key,
                  const HeadView<const V>& value, const HeadView<Scalar>& out, const Offsets& sequences,
                  const engine::Execution<Scalar>& execution) {
    validate(attention, query, key, value, out, sequences, "Attention::operator()");
    const AnyExecutor& executor = execution.executor();
    const ScalarHeads<Q> queries(query, executor);
    if (prepares(attention)) {
      const ScalarHeads<Ke> keys(key, executor);
      const ScalarHeads<V> values(value, executor);
      attention.run(queries.view(), keys.view(), values.view(), out, sequences, execution);
      return;
    }
    const StoredInputs<Scalar, Ke, V> inputs(
        key, value, HeadShape(query), sequences, [&](Index head) { return attention.head(head).policies(); },
        execution);
    attention.run_cached(queries.view(), inputs.heads(), out, sequences, execution, stream<Q, Ke, V>());
  }

  /// On caches of Stored.
  template <class Stored, class Q>
  static void run_cached(const AnyAttention<Scalar>& attention, const HeadView<const Q>& query,
                         std::span<const CachedHead<Scalar>> caches, const HeadView<Scalar>& out,
                         const Offsets& sequences, const engine::Execution<Scalar>& execution) {
    require_apart({"out", out}, {{"query", query}}, "Attention::operator()");
    const ScalarHeads<Q> queries(query, execution.executor());
    attention.run_cached(queries.view(), caches, out, sequences, execution, stream<Q, Stored, Stored>());
  }

  /// The tape owns float copies.
  template <class Q, class Ke, class V>
  static void record(const AnyAttention<Scalar>& attention, const HeadView<const Q>& query,
                     const HeadView<const Ke>& key, const HeadView<const V>& value, const HeadView<Scalar>& out,
                     const Offsets& sequences, AttentionTape<Scalar>& tape, const engine::Execution<Scalar>& execution) {
    struct Copies {
      ScalarHeads<Q> query;
      ScalarHeads<Ke> key;
      ScalarHeads<V> value;
    };
    validate(attention, query, key, value, out, sequences, "Attention::forward");
    const AnyExecutor& executor = execution.executor();
    const std::shared_ptr<const Copies> copies(new Copies{{query, executor}, {key, executor}, {value, executor}});
    attention.record(copies->query.view(), copies->key.view(), copies->value.view(), out, sequences, tape, execution,
                     copies);
  }

 private:
  /// How rows are streamed whose inputs are of these types.
  template <class Q, class Ke, class V>
  static engine::StreamStored<Scalar> stream() {
    using Bfloat16 = Eigen::bfloat16;
    if constexpr (std::is_same_v<Q, Bfloat16> && std::is_same_v<Ke, Bfloat16> && std::is_same_v<V, Bfloat16>) {
      return engine::bfloat16_stream<Scalar>();
    } else {
      return nullptr;
    }
  }

  /// As far as copies and prepared keys do not tell it.
  template <class Q, class Ke, class V>
  static void validate(const AnyAttention<Scalar>& attention, const HeadView<const Q>& query,
                       const HeadView<const Ke>& key, const HeadView<const V>& value, const HeadView<Scalar>& out,
                       const Offsets& sequences, const char* function) {
    const AttentionShapes shapes{HeadShape(query), HeadShape(key), HeadShape(value)};
    shapes.validate(sequences, HeadShape(out), function);
    validate_operators(attention.operators(), query.heads(), function);
    require_apart({"out", out}, {{"query", query}, {"key", key}, {"value", value}}, function);
  }

  static bool prepares(const AnyAttention<Scalar>& attention) {
    for (const auto* one : attention.operators()) {
      if (one->policies().similarity->traits().prepares) return true;
    }
    return false;
  }
};

}  // namespace detail

/// AnyAttention::operator() where inputs are Eigen::bfloat16 or Eigen::half, each of its own: as Attention::operator()
/// on them.
template <class Scalar, class Q, class Ke, class V, class E = Serial>
void attend_stored(const AnyAttention<Scalar>& attention, const HeadView<Q>& query, const HeadView<Ke>& key,
                   const HeadView<V>& value, const HeadView<Scalar>& out, const Packed& sequences,
                   const E& executor = {}) {
  detail::StoredAttention<Scalar>::template run<std::remove_const_t<Q>, std::remove_const_t<Ke>, std::remove_const_t<V>>(
      attention, query, key, value, out, sequences, engine::Execution<Scalar>(executor));
}

/// AnyAttention::forward where inputs are Eigen::bfloat16 or Eigen::half, each of its own: as Attention::forward on
/// them.
template <class Scalar, class Q, class Ke, class V, class E = Serial>
AttentionTape<Scalar> forward_stored(const AnyAttention<Scalar>& attention, const HeadView<Q>& query,
                                    const HeadView<Ke>& key, const HeadView<V>& value, const HeadView<Scalar>& out,
                                    const Packed& sequences, const E& executor = {}) {
  AttentionTape<Scalar> tape;
  detail::StoredAttention<Scalar>::template record<std::remove_const_t<Q>, std::remove_const_t<Ke>, std::remove_const_t<V>>(
      attention, query, key, value, out, sequences, tape, engine::Execution<Scalar>(executor));
  return tape;
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
