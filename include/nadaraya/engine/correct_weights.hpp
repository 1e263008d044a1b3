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

/// The keys of a row that have weight, each with its key and its place among all. A dense kernel's weights may underflow, and
/// a key may be kept for its rank alone.
template <class Scalar>
void list_weighted(std::span<const KeyIndex> keys, RowView<Scalar> p, MixScratch<Scalar>& to) {
  to.keys.clear();
  to.places.clear();
  to.weights.clear();
  for (std::size_t j = 0; j < keys.size(); ++j) {
    if (p[j] == Scalar(0)) continue;
    to.keys.push_back(keys[j]);
    to.places.push_back(static_cast<KeyIndex>(j));
    to.weights.push_back(p[j]);
  }
}

/// The listed keys as a mix reads them: where they are stored if they follow each other there, copies elsewhere.
template <class Scalar>
WeightedKeys<Scalar> weighted_keys(const Head<Scalar>& head, Index query, BlockScratch<Scalar>& scratch) {
  MixScratch<Scalar>& listed = scratch.mix;
  const auto count = static_cast<Index>(listed.keys.size());
  const Index dimension = head.query.cols;
  const StoredRows<Scalar>& stored = head.keys->stored_key();
  const Scalar* rows = nullptr;
  if (stored.narrow()) {
    rows = stored.gather(listed.keys.data(), count, scratch.widened).data;
  } else {
    const View<Scalar>& all = head.key();
    const bool consecutive = all.stride == dimension && std::is_sorted(listed.keys.begin(), listed.keys.end()) &&
                             Index(listed.keys.back()) - Index(listed.keys.front()) + 1 == count;
    if (consecutive) {
      rows = all.row(listed.keys.front());
    } else {
      listed.key_rows.resize(static_cast<std::size_t>(count * dimension));
      Scalar* to = listed.key_rows.data();
      for (const KeyIndex key : listed.keys) to = std::copy_n(all.row(key), dimension, to);
      rows = listed.key_rows.data();
    }
  }
  return {head.query.row(query), rows, dimension, {listed.weights.data(), listed.weights.size()}};
}

/// Replaces the weights of a row by those that the mix of its head makes of them. A row that is empty, or NaN, stays.
template <class Scalar>
void correct_weights(const Head<Scalar>& head, Index query, std::span<const KeyIndex> keys, const RowNormalizer<Scalar>& map,
                     RowOut<Scalar> p, BlockScratch<Scalar>& scratch) {
  const RowMix<Scalar>* const mix = head.mix_of(query);
  if (mix == nullptr || detail::is_nan(map.mass)) return;
  MixScratch<Scalar>& listed = scratch.mix;
  list_weighted(keys, RowView<Scalar>(p), listed);
  if (listed.keys.empty()) return;
  listed.corrected.resize(listed.keys.size());
  mix->correct(weighted_keys(head, query, scratch), listed.corrected, listed.memory);
  for (std::size_t j = 0; j < listed.places.size(); ++j) p[static_cast<std::size_t>(listed.places[j])] = listed.corrected[j];
}

/// On the way back, for a row whose weights are p and g = dL/dc, c the corrected weights: p becomes c, g becomes dL/dp. Leaves
/// the gradients at fixed weights in the scratch memory: dL/dquery, and dL/dkey of the listed keys. Returns dL/dridge.
template <class Scalar>
Scalar pull_corrected(const Head<Scalar>& head, Index query, std::span<const KeyIndex> keys, const RowNormalizer<Scalar>& map,
                      RowOut<Scalar> p, RowOut<Scalar> g, BlockScratch<Scalar>& scratch) {
  MixScratch<Scalar>& listed = scratch.mix;
  listed.keys.clear();
  listed.grad_query.assign(static_cast<std::size_t>(head.query.cols), Scalar(0));
  if (detail::is_nan(map.mass)) return map.mass;
  list_weighted(keys, RowView<Scalar>(p), listed);
  if (listed.keys.empty()) return Scalar(0);
  const std::size_t count = listed.keys.size();
  listed.corrected.resize(count);
  listed.grad_corrected.resize(count);
  listed.grad_weights.resize(count);
  listed.grad_keys.resize(count * listed.grad_query.size());
  for (std::size_t j = 0; j < count; ++j) listed.grad_corrected[j] = g[static_cast<std::size_t>(listed.places[j])];
  const RowMix<Scalar>& mix = *head.mix_of(query);
  const WeightedKeys<Scalar> support = weighted_keys(head, query, scratch);
  mix.correct(support, listed.corrected, listed.memory);
  const Scalar by_ridge = mix.pullback(support, listed.grad_corrected,
                                       {listed.grad_weights, listed.grad_query.data(), listed.grad_keys.data()}, listed.memory);
  std::fill(g.begin(), g.end(), Scalar(0));
  for (std::size_t j = 0; j < count; ++j) {
    p[static_cast<std::size_t>(listed.places[j])] = listed.corrected[j];
    g[static_cast<std::size_t>(listed.places[j])] = listed.grad_weights[j];
  }
  return by_ridge;
}

/// Adds dL/dkey at fixed weights, as pull_corrected left it.
template <class Scalar>
void add_key_gradients(const MixScratch<Scalar>& of, KeySums<Scalar>& to) {
  const Index cols = to.key.cols();
  const Scalar* from = of.grad_keys.data();
  for (const KeyIndex key : of.keys) {
    Scalar* const row = to.key.data() + Index(key) * to.key.outerStride();
    for (Index d = 0; d < cols; ++d) row[d] += from[d];
    from += cols;
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
