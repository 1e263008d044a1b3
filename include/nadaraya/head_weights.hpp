// The weights of many heads, of operators of which the scalar alone is known.
#pragma once

#include "nadaraya/any_operator.hpp"
#include "nadaraya/attention_tape.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Weights in compressed sparse rows: those of row i are values[offsets[i]] to values[offsets[i + 1] - 1], of the keys
/// columns[...], which increase. Row (b * H + h) * Nq + i is query i of head h in batch entry b.
template <class Scalar>
struct HeadWeights {
  Index rows = 0;                        ///< B H Nq
  Index cols = 0;                        ///< Nk
  std::vector<std::int64_t> offsets{0};  ///< [rows + 1]
  std::vector<KeyIndex> columns;         ///< the key of each weight
  std::vector<Scalar> values;            ///< the weights
};

namespace detail {

template <class Scalar>
HeadWeights<Scalar> weigh_heads(const std::vector<const AnyOperator<Scalar>*>& heads, const HeadView<const Scalar>& query,
                                const HeadView<const Scalar>& key, const engine::Execution<Scalar>& execution) {
  const char* const function = "head_weights";
  const HeadShape q(query), k(key);
  AttentionShapes{q, k, k}.validate(Packed::one(q.tokens, k.tokens), {q.batch, q.heads, q.tokens, k.dim}, function);
  validate_operators<Scalar>(heads, q.heads, function);
  for (const AnyOperator<Scalar>* head : heads) {
    head->validate(Extent{q.tokens, k.tokens});
    head->policies().similarity->validate(k.dim);
    if (const auto* const mix = head->policies().mix) mix->validate(k.dim);
  }
  HeadWeights<Scalar> weights;
  weights.rows = q.batch * q.heads * q.tokens;
  weights.cols = k.tokens;
  weights.offsets.reserve(static_cast<std::size_t>(weights.rows) + 1);
  for (Index b = 0; b < q.batch; ++b) {
    for (Index h = 0; h < q.heads; ++h) {
      const Rows<Scalar> queries(query.rows(b, h)), keys(key.rows(b, h * k.heads / q.heads));
      const engine::Problem<Scalar> problem{
          .policies = of_head(heads, h)->policies(), .query = &queries, .key = &keys, .value = &keys};
      engine::weigh<Scalar>(problem, execution, [&](std::span<const KeyIndex> support, std::span<const Scalar> p) {
        weights.columns.insert(weights.columns.end(), support.begin(), support.end());
        weights.values.insert(weights.values.end(), p.begin(), p.end());
        weights.offsets.push_back(static_cast<std::int64_t>(weights.values.size()));
      });
    }
  }
  return weights;
}

#if defined(NADARAYA_COMPILED)
extern template HeadWeights<float> weigh_heads(const std::vector<const AnyOperator<float>*>&, const HeadView<const float>&,
                                               const HeadView<const float>&, const engine::Execution<float>&);
extern template HeadWeights<double> weigh_heads(const std::vector<const AnyOperator<double>*>&, const HeadView<const double>&,
                                                const HeadView<const double>&, const engine::Execution<double>&);
#endif

}  // namespace detail

/// Returns p_ij for all heads: query [B, H, Nq, D], key [B, Hk, Nk, D] -> [B H Nq x Nk], of one operator for all query heads
/// or one for each. Throws std::invalid_argument for shapes and parameters. Memory: O(rows + weights).
template <class Scalar, class E = Serial>
HeadWeights<Scalar> head_weights(const std::vector<const AnyOperator<Scalar>*>& heads, const HeadView<const Scalar>& query,
                                 const HeadView<const Scalar>& key, const E& executor = {}) {
  return detail::weigh_heads(heads, query, key, engine::Execution<Scalar>(executor));
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
