// The one-liner: attention or kernel regression of three matrices.
#pragma once

#include "nadaraya/nadaraya_watson.hpp"

#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// attend(kernel, normalization[, similarity][, mask][, mix], query, key, value): NadarayaWatson applied
/// once. Shapes, cost, errors as there; returns [Nq x Dv], row-major.
///   attend(Biweight{}, Adaptive{}, Q, K, V)                                  1.5-entmax attention
///   attend(Gaussian{}, Adaptive{}, Causal{}, Q, K, V)                        causal softmax attention
///   attend(Epanechnikov{}, FixedBandwidth{0.7}, SquaredDistance{}, Xq, X, Y) kernel regression
///   attend(Biweight{}, Adaptive{}, LocalLinear{1e-3}, Q, K, V)               local linear 1.5-entmax attention
template <class K, class N, RealExpression Q, RealExpression Ke, RealExpression V>
RowMatrix<ScalarOf<Q>> attend(K kernel, N normalization, const Q& query, const Ke& key, const V& value) {
  return NadarayaWatson(std::move(kernel), std::move(normalization))(query, key, value);
}

/// attend with a similarity or a mask; the other is the default.
template <class K, class N, class P, RealExpression Q, RealExpression Ke, RealExpression V>
RowMatrix<ScalarOf<Q>> attend(K kernel, N normalization, P similarity_or_mask, const Q& query, const Ke& key,
                              const V& value) {
  return NadarayaWatson(std::move(kernel), std::move(normalization), std::move(similarity_or_mask))(query, key, value);
}

/// attend with every policy.
template <class K, class N, class S, class M, RealExpression Q, RealExpression Ke, RealExpression V>
RowMatrix<ScalarOf<Q>> attend(K kernel, N normalization, S similarity, M mask, const Q& query, const Ke& key,
                              const V& value) {
  return NadarayaWatson(std::move(kernel), std::move(normalization), std::move(similarity), std::move(mask))(query, key, value);
}

/// attend with a mix.
template <class K, class N, Mix X, RealExpression Q, RealExpression Ke, RealExpression V>
RowMatrix<ScalarOf<Q>> attend(K kernel, N normalization, X mix, const Q& query, const Ke& key, const V& value) {
  return NadarayaWatson(std::move(kernel), std::move(normalization)).with(std::move(mix))(query, key, value);
}

/// attend with a similarity or a mask, and a mix.
template <class K, class N, class P, Mix X, RealExpression Q, RealExpression Ke, RealExpression V>
RowMatrix<ScalarOf<Q>> attend(K kernel, N normalization, P similarity_or_mask, X mix, const Q& query, const Ke& key,
                              const V& value) {
  return NadarayaWatson(std::move(kernel), std::move(normalization), std::move(similarity_or_mask))
      .with(std::move(mix))(query, key, value);
}

/// attend with every policy and a mix.
template <class K, class N, class S, class M, Mix X, RealExpression Q, RealExpression Ke, RealExpression V>
RowMatrix<ScalarOf<Q>> attend(K kernel, N normalization, S similarity, M mask, X mix, const Q& query, const Ke& key,
                              const V& value) {
  return NadarayaWatson(std::move(kernel), std::move(normalization), std::move(similarity), std::move(mask), std::move(mix))(
      query, key, value);
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
