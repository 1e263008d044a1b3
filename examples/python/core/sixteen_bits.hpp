// Attention on arrays that store 16 bits, computed in float.
#pragma once

#include "operator.hpp"

#include <nadaraya/engine/execution.hpp>
#include <nadaraya/head_shapes.hpp>
#include <nadaraya/screening.hpp>
#include <nadaraya/similarity/similarity.hpp>
#include <nadaraya/stored_inputs.hpp>

namespace binding {

/// Keys and values are read as they are stored, but for a similarity that changes keys.
template <class T, class Executor>
void attend_16_bits(const nadaraya::OperatorOptions& options, const Group<float>& group, const HeadView<const T>& query,
                    const HeadView<const T>& key, const HeadView<const T>& value, const HeadView<float>& out,
                    const nadaraya::Packed& tokens, const Executor& executor) {
  const FloatCopy floats(query);
  nadaraya::with_similarity(options, [&]<class S>(const S&) {
    if constexpr (nadaraya::PreparingSimilarity<S>) {
      group.attention()(floats.view(), FloatCopy(key).view(), FloatCopy(value).view(), out, tokens, executor);
    } else {
      using namespace nadaraya::detail;
      const AttentionShapes shapes{HeadShape(query), HeadShape(key), HeadShape(value)};
      shapes.validate(tokens, HeadShape(out), "attend");
      require_apart({"out", out}, {{"query", query}, {"key", key}, {"value", value}}, "attend");
      const nadaraya::engine::Execution<float> execution(executor);
      const StoredInputs<T, T, S> inputs(key, value, shapes.query, tokens, nadaraya::Screening::automatic, execution);
      group.attention()(floats.view(), inputs.heads(), out, tokens, executor);
    }
  });
}

}  // namespace binding
