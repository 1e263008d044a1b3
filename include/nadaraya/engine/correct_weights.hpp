// The step of a row between its weights and its values: a mix corrects the weights, and pulls a gradient back.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/key_sums.hpp"
#include "nadaraya/engine/row_mix.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/weighted_keys.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Leaves of a row's keys and weights those of the keys that have weight. A dense kernel's weights may underflow, and a key may be
/// kept for its rank alone: where all have weight, there is no list of places.
template <class Scalar>
void drop_weightless(std::span<const KeyIndex>& keys, RowView<Scalar>& p, MixScratch<Scalar>& kept) {
  kept.places.clear();
  std::size_t weighted = 0;
  while (weighted < p.size() && p[weighted] != Scalar(0)) ++weighted;
  if (weighted == p.size()) return;
  kept.keys.clear();
  kept.weights.clear();
  for (std::size_t j = 0; j < keys.size(); ++j) {
    if (p[j] == Scalar(0)) continue;
    kept.places.push_back(j);
    kept.keys.push_back(keys[j]);
    kept.weights.push_back(p[j]);
  }
  keys = kept.keys;
  p = kept.weights;
}

/// The keys of a row that have weight, as a mix reads them.
template <class Scalar>
WeightedKeys<Scalar> weighted_keys(const Head<Scalar>& head, Index query, std::span<const KeyIndex> keys, RowView<Scalar> p,
                                   BlockScratch<Scalar>& scratch) {
  drop_weightless(keys, p, scratch.mix);
  const auto count = static_cast<Index>(keys.size());
  const Scalar* const q = head.query.row(query);
  const StoredRows<Scalar>& stored = head.keys->stored_key();
  if (!stored.narrow()) return {q, head.key(), KeyList::listed(keys.data(), count), p};
  return {q, stored.gather(keys.data(), count, scratch.widened), KeyList::range(0, count), p};
}

/// Replaces the weights p of a row by those that a mix makes of its support, which drop_weightless has left.
template <class Scalar>
void correct_support(const RowMix<Scalar>& mix, const WeightedKeys<Scalar>& support, RowOut<Scalar> p, MixScratch<Scalar>& kept) {
  kept.corrected.resize(support.weights.size());
  mix.correct(support, kept.corrected, kept.memory);
  for (std::size_t j = 0; j < kept.corrected.size(); ++j) p[kept.place(j)] = kept.corrected[j];
}

/// Replaces the weights of a row by those that the mix of its head makes of them. A row that is empty, or NaN, stays.
template <class Scalar>
void correct_weights(const Head<Scalar>& head, Index query, std::span<const KeyIndex> keys, const RowNormalizer<Scalar>& map,
                     RowOut<Scalar> p, BlockScratch<Scalar>& scratch) {
  const RowMix<Scalar>* const mix = head.mix_of(query);
  if (mix == nullptr || keys.empty() || detail::is_nan(map.mass)) return;
  correct_support(*mix, weighted_keys(head, query, keys, RowView<Scalar>(p), scratch), p, scratch.mix);
}

/// On the way back, for the support that drop_weightless has left of a row whose weights are p and g = dL/dc, c the corrected
/// weights: p becomes c, g becomes dL/dp. Leaves the gradients at fixed weights in the scratch memory: dL/dquery, and dL/dkey of the
/// keys that have weight. Returns dL/dridge.
template <class Scalar>
Scalar pull_corrected_support(const RowMix<Scalar>& mix, const WeightedKeys<Scalar>& support, RowOut<Scalar> p, RowOut<Scalar> g,
                              MixScratch<Scalar>& kept) {
  const std::size_t count = support.weights.size();
  kept.grad_query.assign(static_cast<std::size_t>(support.dimension()), Scalar(0));
  // The others are resized, not cleared: all are assigned.
  kept.corrected.resize(count);
  kept.grad_corrected.resize(count);
  kept.grad_weights.resize(count);
  kept.grad_keys.resize(count * kept.grad_query.size());
  for (std::size_t j = 0; j < count; ++j) kept.grad_corrected[j] = g[kept.place(j)];
  mix.correct(support, kept.corrected, kept.memory);
  const Scalar by_ridge = mix.pullback(support, kept.grad_corrected,
                                       {kept.grad_weights, kept.grad_query.data(), kept.grad_keys.data()}, kept.memory);
  std::fill(g.begin(), g.end(), Scalar(0));
  for (std::size_t j = 0; j < count; ++j) {
    p[kept.place(j)] = kept.corrected[j];
    g[kept.place(j)] = kept.grad_weights[j];
  }
  return by_ridge;
}

/// The same for a row of a head. Of one that is empty, or NaN, the gradients at fixed weights are zero, or none.
template <class Scalar>
Scalar pull_corrected(const Head<Scalar>& head, Index query, std::span<const KeyIndex> keys, const RowNormalizer<Scalar>& map,
                      RowOut<Scalar> p, RowOut<Scalar> g, BlockScratch<Scalar>& scratch) {
  MixScratch<Scalar>& kept = scratch.mix;
  if (keys.empty() || detail::is_nan(map.mass)) {
    kept.grad_query.assign(static_cast<std::size_t>(head.query.cols), Scalar(0));
    kept.grad_keys.clear();
    return keys.empty() ? Scalar(0) : map.mass;
  }
  const WeightedKeys<Scalar> support = weighted_keys(head, query, keys, RowView<Scalar>(p), scratch);
  return pull_corrected_support(*head.mix_of(query), support, p, g, kept);
}

/// Adds the dL/dkey at fixed weights that pull_corrected left for a row of keys.
template <class Scalar>
void add_key_gradients(std::span<const KeyIndex> keys, const MixScratch<Scalar>& of, KeySums<Scalar>& to) {
  using Row = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;
  const Index cols = to.key.cols();
  if (cols == 0) return;
  for (std::size_t j = 0; j * static_cast<std::size_t>(cols) < of.grad_keys.size(); ++j) {
    to.key.row(keys[of.place(j)]) += Eigen::Map<const Row>(of.grad_keys.data() + static_cast<Index>(j) * cols, cols);
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
