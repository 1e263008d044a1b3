// The backward pass of a head's blocks whose pairs were not recorded, as products of matrices.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/backward_rows.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/key_sums.hpp"
#include "nadaraya/engine/query_block.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/packed.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The operands of products of matrices, NaN and infinity among them replaced by zero, so that pairs without weight add
/// zero.
template <class Scalar>
struct DenseOperands {
  DenseOperands(const Head<Scalar>& head, const View<Scalar>& grads, Arena& memory)
      : query(head.query, &memory), key(head.key(), &memory), grad_out(grads, &memory), values(&memory) {
    values.pack(head.finite_value());
  }

  FiniteRows<Scalar> query;
  FiniteRows<Scalar> key;
  FiniteRows<Scalar> grad_out;
  PackedRows<Scalar> values;

  /// Does NaN or infinity in a value or in dL/dout matter to a query?
  bool misses(const Head<Scalar>& head, Index of_query) const {
    const auto& nonfinite = grad_out.replaced();
    return std::binary_search(nonfinite.begin(), nonfinite.end(), of_query) || head.sees_nonfinite_value(of_query);
  }
};

/// Products of dL/dout with values that have no weight become zeros if one is so large that 0 times it, or times a
/// difference, might be NaN.
template <class Scalar>
void leave_out_large(RowView<Scalar> p, RowOut<Scalar> g) {
  const Scalar largest = loops<Scalar>().largest_size(g.data(), static_cast<Index>(g.size()));
  if (largest >= Scalar(0) && largest < (std::numeric_limits<Scalar>::max)() / Scalar(4)) return;
  for (std::size_t j = 0; j < g.size(); ++j) {
    if (p[j] == Scalar(0)) g[j] = Scalar(0);
  }
}

/// Rows of numbers for each key that some queries see: t their coordinates, p the weights, then dL/dz, g = dL/dp.
template <class Scalar>
struct DenseRows {
  Scalar* t;
  Scalar* p;
  Scalar* g;
  Index keys;
  Index ld;

  RowOut<Scalar> row(Scalar* of, Index i) const { return RowOut<Scalar>(of + i * ld, static_cast<std::size_t>(keys)); }
};

/// Coordinates and weights of the queries [r, r + count) of a block; t holds similarities.
template <class Scalar, class LeftOut>
void reweigh(const Head<Scalar>& head, const Record<Scalar>& record, Index query, Index r, Index count, Index first,
             const DenseRows<Scalar>& rows, const LeftOut& left_out) {
  // A coordinate so far outside that every profile is zero there, and finite.
  const Scalar hidden(-(std::numeric_limits<Scalar>::max)() / Scalar(4));
  const Index last = first + rows.keys;
  for (Index i = 0; i < count; ++i) {
    const RowNormalizer<Scalar>& map = record.maps[static_cast<std::size_t>(r + i)];
    const RowOut<Scalar> t = rows.row(rows.t, i);
    const RowOut<Scalar> p = rows.row(rows.p, i);
    if (left_out(i)) {
      std::fill(t.begin(), t.end(), hidden);
    } else {
      add_bias(head.mask(), query + i, head.extent(), first, last, t.data());
      loops<Scalar>().coordinates(map, t.data(), rows.keys);
      hide(head.mask(), query + i, head.extent(), first, last, hidden, t.data());
    }
    if (detail::is_nan(map.mass)) {
      for (std::size_t j = 0; j < t.size(); ++j) p[j] = t[j] == hidden ? Scalar(0) : map.mass;
    } else {
      head.rule().weights(map, RowView<Scalar>(t), p);
    }
  }
}

/// Pulls the queries [r, r + count) of a block back.
template <class Scalar>
void pull_dense_queries(BackwardHead<Scalar>& of, const DenseOperands<Scalar>& operands, Index block, Index r, Index count,
                        KeySums<Scalar>& to, BlockScratch<Scalar>& scratch) {
  const Head<Scalar>& head = of.head;
  const Record<Scalar>& record = of.record(block);
  ParameterSums<Scalar>& block_sums = of.parameters_of(block);
  const Index query = block_begin(block, head.query.rows) + r;
  const KeyRange seen = range_of_all(head.mask(), query, count, head.extent());
  if (seen.first >= seen.last) return;
  const Index first = panel_begin(seen.first);
  const Index n = seen.last - first;
  const Index ld = panel_begin(n + panel_keys - 1) + 16;  // rows must not share their cache sets
  scratch.dense.resize(static_cast<std::size_t>(3 * count * ld));
  const DenseRows<Scalar> rows{scratch.dense.data(), scratch.dense.data() + count * ld, scratch.dense.data() + 2 * count * ld, n,
                               ld};
  const Index dim = head.key().cols;
  const Index cols = head.value().cols;
  const View<Scalar>& query_rows = operands.query.view();
  const View<Scalar>& key_rows = operands.key.view();
  const View<Scalar>& grad_out = operands.grad_out.view();
  const auto map_of = [&](Index i) -> const RowNormalizer<Scalar>& { return record.maps[static_cast<std::size_t>(r + i)]; };
  const auto left_out = [&](Index i) {
    return record.support_sizes[static_cast<std::size_t>(r + i)] == 0 || operands.misses(head, query + i);
  };

  block_products(head, r, count, first, seen.last, scratch, rows.t, ld);
  reweigh(head, record, query, r, count, first, rows, left_out);
  const auto& loop = loops<Scalar>();
  loop.add_product(n, count, cols, rows.p, Index(1), ld, grad_out.row(query), grad_out.stride,
                   to.value.data() + first * to.value.outerStride(), to.value.outerStride());
  for (Index key = first; key < seen.last; key += panel_keys) {
    loop.multiply(count, cols, panel_keys, grad_out.row(query), grad_out.stride, Index(1), operands.values.panel(key), panel_keys,
                  rows.g + (key - first), ld);
  }
  Scalar* const dz = rows.p;
  for (Index i = 0; i < count; ++i) {
    if (left_out(i)) continue;
    ParameterGradients<Scalar> parameters;
    if (detail::is_nan(map_of(i).mass)) {
      parameters.bandwidth += map_of(i).mass;
      parameters.alpha += map_of(i).mass;
    } else {
      leave_out_large(RowView<Scalar>(rows.row(rows.p, i)), rows.row(rows.g, i));
      head.rule().unweigh_weights(map_of(i), RowView<Scalar>(rows.row(rows.t, i)), RowView<Scalar>(rows.row(rows.g, i)),
                                  rows.row(dz, i), parameters);
    }
    pull_own_parameters(of, block, query + i, KeyList::range(first, seen.last), rows.row(dz, i).data());
    block_sums.add(parameters);
  }
  loop.multiply(count, n, dim, dz, ld, Index(1), key_rows.row(first), key_rows.stride, of.grad_query_row(query),
                of.grad_query.outerStride());
  // Not a query times the factor, which may overflow.
  for (Index i = 0; i < count; ++i) loop.scale(dz + i * ld, n, head.factor, dz + i * ld);
  loop.add_product(n, count, dim, dz, Index(1), ld, query_rows.row(query), query_rows.stride,
                   to.key.data() + first * to.key.outerStride(), to.key.outerStride());
  for (Index i = 0; i < count; ++i) {
    if (left_out(i)) continue;
    ParameterGradients<Scalar> parameters;
    finish_query(of, query + i, parameters);
    block_sums.add(parameters);
  }
}

/// With P and dZ the weights and their gradients by similarity of some queries and the keys they see,
///   dV += P^T dO,   G = dO V^T,   dQ = dZ K,   dK += dZ^T Q.
/// The queries for which NaN and infinity in an operand matter go row by row, except where NaN among the similarities has
/// made all weights NaN. The queries that are pulled back together are 48: of fewer, the gradients of the keys and values they
/// see pass through the registers too often, and of more, their rows of pairs do not stay in the second-level cache. Of many
/// keys there are fewer, such that they make no more than 2^20 numbers, but 6 at least.
template <class Scalar>
void backward_dense(BackwardHead<Scalar>& of, const DenseOperands<Scalar>& operands, Index block, KeySums<Scalar>& to,
                    BlockScratch<Scalar>& scratch) {
  constexpr Index most_numbers = Index(1) << 20;
  constexpr Index most_queries = 48;
  const Head<Scalar>& head = of.head;
  const QueryRange range = block_range(block, head.query.rows);
  const KeyRange seen = begin_block(head, range.first, range.count, scratch);
  const Index keys = (std::max<Index>)(1, seen.last - seen.first);
  const Index fitting = most_numbers / (3 * keys) / tile_queries * tile_queries;
  const Index some = std::clamp(fitting, tile_queries, most_queries);
  for (Index r = 0; r < range.count; r += some) {
    pull_dense_queries(of, operands, block, r, (std::min)(some, range.count - r), to, scratch);
  }
  const auto missed = [&](Index query) { return operands.misses(head, query); };
  for (Index r = 0; r < range.count; ++r) {
    if (missed(range.first + r)) return pull_unrecorded_rows(of, block, to, scratch, missed);
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
