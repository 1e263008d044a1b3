// The backward pass of a head's rows, one by one, through lists of their keys: unmix, unweigh, unscore.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/candidates.hpp"
#include "nadaraya/engine/correct_weights.hpp"
#include "nadaraya/engine/engine.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/key_sums.hpp"
#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/engine/record.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// What a head's backward pass reads and writes. dL/dquery is zero at first.
template <class Scalar>
struct BackwardHead {
  const Head<Scalar>& head;
  std::span<const Record<Scalar>> records;
  View<Scalar> grad_out;
  MatrixMap<Scalar> grad_query;
  LineVector<ParameterSums<Scalar>> parameters;  ///< of each block

  BackwardHead(const Head<Scalar>& of, const HeadGradients<Scalar>& gradients, Arena& memory)
      : head(of), records(gradients.records), grad_out(gradients.grad_out), grad_query(gradients.query), parameters(&memory) {
    parameters.reserve(records.size());
    for (std::size_t b = 0; b < records.size(); ++b) parameters.push_back(no_parameters(head.policies));
  }

  const Record<Scalar>& record(Index block) const { return records[static_cast<std::size_t>(block)]; }
  ParameterSums<Scalar>& parameters_of(Index block) { return parameters[static_cast<std::size_t>(block)]; }
  Scalar* grad_query_row(Index query) { return grad_query.data() + query * grad_query.outerStride(); }
};

/// Adds the part of a query and some keys to the gradients of parameters of the user's own.
template <class Scalar>
void pull_own_parameters(BackwardHead<Scalar>& of, Index block, Index query, const KeyList& keys, const Scalar* dz) {
  ParameterSums<Scalar>& sums = of.parameters_of(block);
  const Head<Scalar>& head = of.head;
  if (sums.similarity) head.similarity().pull_parameters(head.query.row(query), head.key(), keys, dz, *sums.similarity);
  if (sums.bias) head.mask().pull_parameters(query, keys, head.extent(), dz, *sums.bias);
}

/// z = factor q.k: given sum_j dz_j k_j in the place of dL/dquery, multiplies it by the factor.
/// Its product with q is dL/dscale.
template <class Scalar>
void finish_query(BackwardHead<Scalar>& of, Index query, ParameterGradients<Scalar>& parameters) {
  if constexpr (vectorized<Scalar>) {
    Scalar* const grad = of.grad_query_row(query);
    const Index cols = of.grad_query.cols();
    Scalar product;
    loops<Scalar>().products(grad, cols, Index(1), cols, of.head.query.row(query), &product, Scalar(1));
    parameters.scale += product;
    loops<Scalar>().scale(grad, cols, of.head.factor, grad);
  }
}

/// Row r of a block, given its keys and their coordinates: dL/dquery, and visit(pair) for each of its pairs, in order, with
/// dL/dz times the factor if the similarity is a product. Values without weight are not read.
template <class Scalar, class Visit>
void pull_row(BackwardHead<Scalar>& of, Index block, Index r, std::span<const KeyIndex> keys, RowView<Scalar> t,
              BlockScratch<Scalar>& scratch, const Visit& visit) {
  const Head<Scalar>& head = of.head;
  const Index query = of.record(block).query(r);
  const auto n = static_cast<Index>(keys.size());
  const RowNormalizer<Scalar>& map = of.record(block).maps[static_cast<std::size_t>(r)];
  ParameterGradients<Scalar> parameters;
  if (scratch.dense.size() < 3 * keys.size()) scratch.dense.resize(6 * keys.size());
  const RowOut<Scalar> p(scratch.dense.data(), keys.size());
  const RowOut<Scalar> g(p.data() + n, keys.size());
  const RowOut<Scalar> dz(g.data() + n, keys.size());
  head.rule().weights(map, t, p);
  const View<Scalar>& value = head.value();
  loops<Scalar, BackwardLoops>().dots(keys.data(), p.data(), n, value.data, value.stride, value.cols, of.grad_out.row(query),
                                      g.data());
  const bool corrected = head.policies.mix != nullptr;
  if (corrected) of.parameters_of(block).ridge += Wide<Scalar>(pull_corrected(head, query, keys, map, p, g, scratch));
  head.rule().unweigh(map, t, RowView<Scalar>(g), dz, parameters);
  const KeyList list = KeyList::listed(keys.data(), n);
  pull_own_parameters(of, block, query, list, dz.data());
  const View<Scalar>& key = head.key();
  if (head.is_product()) {
    loops<Scalar>().mix(keys.data(), dz.data(), n, key.data, key.stride, key.cols, of.grad_query_row(query));
    // A query without keys may hold anything.
    if (!keys.empty()) finish_query(of, query, parameters);
    const Scalar factor = head.factor;
    for (Scalar& dz_j : dz) dz_j *= factor;
  } else {
    parameters.scale += head.similarity().pull_query(head.query.row(query), key, list, dz.data(), of.grad_query_row(query));
  }
  if (corrected) {
    Scalar* const grad = of.grad_query_row(query);
    for (Index d = 0; d < of.grad_query.cols(); ++d) grad[d] += scratch.mix.grad_query[static_cast<std::size_t>(d)];
  }
  of.parameters_of(block).add(parameters);
  for (std::size_t j = 0; j < keys.size(); ++j) visit(Pair<Scalar>{static_cast<KeyIndex>(query), keys[j], p[j], dz[j]});
}

/// The part of dL/dkey and dL/dvalue that some pairs bring.
template <class Scalar>
void scatter(const BackwardHead<Scalar>& of, std::span<const Pair<Scalar>> pairs, KeySums<Scalar>& to) {
  const Head<Scalar>& head = of.head;
  while (!pairs.empty()) {
    const auto& sums = loops<Scalar, BackwardLoops>();
    const Index done = sums.scatter_weights(pairs.data(), static_cast<Index>(pairs.size()), of.grad_out.data, of.grad_out.stride,
                                            to.value.cols(), to.value.data(), to.value.outerStride(), to.first(), to.terms());
    const auto some = pairs.first(static_cast<std::size_t>(done));
    if (head.is_product()) {
      sums.scatter_gradients(some.data(), done, head.query.data, head.query.stride, to.key.cols(), to.key.data(),
                             to.key.outerStride());
    } else {
      head.similarity().pull_keys(head.query, head.key(), some, to.key);
    }
    const Index last = some.back().key;
    if (to.is_run(last)) to.end_run(last);
    pairs = pairs.subspan(static_cast<std::size_t>(done));
  }
}

/// Pulls a row back, given its keys and their coordinates, and adds its part of dL/dkey and dL/dvalue.
template <class Scalar>
void pull_row_to(BackwardHead<Scalar>& of, Index block, Index r, std::span<const KeyIndex> keys, RowView<Scalar> t,
                 KeySums<Scalar>& to, BlockScratch<Scalar>& scratch) {
  std::vector<Pair<Scalar>>& pairs = scratch.pairs;
  pairs.clear();
  pull_row(of, block, r, keys, t, scratch, [&](const Pair<Scalar>& pair) { pairs.push_back(pair); });
  scatter(of, std::span<const Pair<Scalar>>(pairs), to);
  if (of.head.policies.mix != nullptr) add_key_gradients(keys, scratch.mix, to);
}

/// The queries of a block whose pairs were recorded, row by row.
template <class Scalar>
void pull_recorded_rows(BackwardHead<Scalar>& of, Index block, KeySums<Scalar>& to, BlockScratch<Scalar>& scratch) {
  const Record<Scalar>& record = of.record(block);
  for (Index r = 0; r < record.rows(); ++r) {
    pull_row_to(of, block, r, record.row_keys(r), record.row_coordinates(r), to, scratch);
  }
}

/// The queries of a block whose pairs were not recorded that are wanted(query), row by row.
template <class Scalar, class Wanted>
void pull_unrecorded_rows(BackwardHead<Scalar>& of, Index block, KeySums<Scalar>& to, BlockScratch<Scalar>& scratch,
                          const Wanted& wanted) {
  const Head<Scalar>& head = of.head;
  const Record<Scalar>& record = of.record(block);
  std::vector<KeyIndex>& keys = scratch.keys;
  std::vector<Scalar>& t = scratch.coordinates;
  std::vector<Scalar>& p = scratch.profiles;
  find_candidates<Scalar>(head, block, false, [](std::span<CandidateRow<Scalar>* const>) {}, scratch);
  const QueryRange range = block_range(block, head.query.rows);
  for (Index r = 0; r < range.count; ++r) {
    const Index query = head.query_at(range.first + r);
    if (!wanted(query) || record.support_sizes[static_cast<std::size_t>(r)] == 0) continue;
    const CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
    const RowNormalizer<Scalar>& map = record.maps[static_cast<std::size_t>(r)];
    keys.assign(row.keys().begin(), row.keys().end());
    t.resize(row.size());
    for (std::size_t j = 0; j < row.size(); ++j) t[j] = map.coordinate(row.values()[j]);
    if (head.rule().traits().sparse) {
      // Keys without weight have no gradient, also where that of the row is NaN.
      p.resize(t.size());
      head.rule().weights(map, RowView<Scalar>(t), RowOut<Scalar>(p));
      std::size_t kept = 0;
      for (std::size_t j = 0; j < t.size(); ++j) {
        if (p[j] == Scalar(0)) continue;
        keys[kept] = keys[j];
        t[kept++] = t[j];
      }
      keys.resize(kept);
      t.resize(kept);
    }
    pull_row_to(of, block, r, std::span<const KeyIndex>(keys), RowView<Scalar>(t), to, scratch);
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
