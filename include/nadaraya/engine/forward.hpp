// The forward pass of one head, block by block: score, weigh, mix.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/candidates.hpp"
#include "nadaraya/engine/dense_mix.hpp"
#include "nadaraya/engine/forward_dense.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/record.hpp"
#include "nadaraya/loops/tiers.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Every visible key of a query, with NaN for its similarity.
template <class Scalar>
void take_all_visible(const Head<Scalar>& head, Index query, CandidateRow<Scalar>& row) {
  row.clear();
  const Extent n = head.extent();
  const KeyRange range = head.mask().range(query, n);
  for (Index j = range.first; j < range.last; ++j) {
    if (head.mask().is_visible(query, j, n) && !biased_away(head.mask(), query, j, n)) {
      row.push(static_cast<KeyIndex>(j), Scalar(std::numeric_limits<Scalar>::quiet_NaN()));
    }
  }
}

/// From the candidates of a block to weights: visit(i, support, weights) for its queries, in their order there.
template <class Scalar, class Visit>
void weigh_candidates(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch, const Visit& visit) {
  const auto count = static_cast<std::size_t>(range.count);
  scratch.maps.resize(count);
  head.rule().solve({scratch.rows.data(), count}, scratch.maps);
  for (std::size_t r = 0; r < count; ++r) {
    CandidateRow<Scalar>& row = scratch.rows[r];
    const Index query = head.query_at(range.first + static_cast<Index>(r));
    const RowNormalizer<Scalar>& map = scratch.maps[r];
    // Which keys a NaN left among the candidates depends on the order of tiles: take them all.
    if (detail::is_nan(map.mass)) take_all_visible(head, query, row);
    head.rule().weigh(row, map, scratch.weights);
    visit(query, row.keys(), RowView<Scalar>(scratch.weights.data(), row.size()));
  }
}

/// Score and weigh: visit(i, support, weights) for the queries of a block, in their order there.
template <class Scalar, class Visit>
void weigh_block(const Head<Scalar>& head, Index block, BlockScratch<Scalar>& scratch, const Visit& visit) {
  find_candidates<Scalar>(head, block, false, refining_by(head.rule()), scratch);
  weigh_candidates(head, block_range(block, head.query.rows), scratch, visit);
}

/// Mixes the values of some keys; those without weight are not read.
template <class Scalar>
void mix(const View<Scalar>& value, std::span<const KeyIndex> keys, RowView<Scalar> p, Scalar* out) {
  loops<Scalar>().mix(keys.data(), p.data(), static_cast<Index>(keys.size()), value.data, value.stride, value.cols, out);
}

/// Is a list of the supported pairs longer, and slower to pull back through, than all visible pairs
/// formed again?
template <class Scalar>
bool mostly_supported(const Head<Scalar>& head, const QueryRange& range, const BlockScratch<Scalar>& scratch) {
  if (!head.is_product() || !head.rule().traits().takes_vectors) return false;
  // Formed again, they would be summed in another order.
  if (scratch.screened) return false;
  std::size_t listed = 0;
  Index visible = 0;
  for (Index r = 0; r < range.count; ++r) {
    listed += scratch.rows[static_cast<std::size_t>(r)].size();
    const KeyRange keys = head.mask().range(range.first + r, head.extent());
    visible += keys.last - keys.first;
  }
  return listed >= 64 * static_cast<std::size_t>(range.count) && 2 * listed > static_cast<std::size_t>(visible);
}

/// Records the first `count` weighed rows of a block. Their lists are kept unless `recomputed`.
template <class Scalar>
void assign(Record<Scalar>& record, const BlockScratch<Scalar>& scratch, Index count, bool recomputed) {
  record.support_sizes.assign(scratch.supports.begin(), scratch.supports.begin() + count);
  if (record.counts_only) return;
  record.maps.assign(scratch.maps.begin(), scratch.maps.begin() + count);
  record.recompute = recomputed;
  record.keys.clear();
  record.coordinates.clear();
  record.ends.clear();
  if (recomputed) return;
  std::size_t total = 0;
  for (Index r = 0; r < count; ++r) {
    total += scratch.rows[static_cast<std::size_t>(r)].size();
    record.ends.push_back(total);
  }
  record.keys.reserve(total);
  record.coordinates.reserve(total);
  for (Index r = 0; r < count; ++r) {
    const auto& row = scratch.rows[static_cast<std::size_t>(r)];
    record.keys.insert(record.keys.end(), row.keys().begin(), row.keys().end());
    record.coordinates.insert(record.coordinates.end(), row.values().begin(), row.values().end());
  }
}

/// The rows of a block from lists of their keys, whose candidates are found.
template <class Scalar>
void forward_sparse(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch, MatrixMap<Scalar>& out,
                    Record<Scalar>* record) {
  DenseMix<Scalar> dense(head.finite_value(), scratch);
  const bool may_be_dense = vectorized<Scalar> && !head.rule().traits().selects;
  std::size_t r = 0;
  weigh_candidates(head, range, scratch, [&](Index i, std::span<const KeyIndex> keys, RowView<Scalar> p) {
    if (record != nullptr) scratch.supports[r] = static_cast<KeyIndex>(support_size(head, p));
    ++r;
    Scalar* const out_i = out.data() + i * out.outerStride();
    if (may_be_dense && dense.worthwhile(keys) && !head.sees_nonfinite_value(i)) {
      dense.add(keys, p, out_i);
    } else {
      mix(head.value(), keys, p, out_i);
    }
  });
  dense.flush();
  if (record == nullptr) return;
  assign(*record, scratch, range.count, !head.rule().traits().sparse || mostly_supported(head, range, scratch));
  if (head.order.empty()) return;
  const auto queries = head.order.subspan(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.count));
  record->queries.assign(queries.begin(), queries.end());
}

/// Writes the rows of a block to `out`, the whole result, and fills `record` unless it is null. Rows are formed without
/// lists of their keys where that is faster: under a rule that can be summed key by key, and where rows seem to keep nearly
/// all their keys.
template <class Scalar>
void forward_block(const Head<Scalar>& head, Index block, BlockScratch<Scalar>& scratch, MatrixMap<Scalar> out,
                   Record<Scalar>* record) {
  const QueryRange range = block_range(block, head.query.rows);
  scratch.supports.resize(static_cast<std::size_t>(range.count));
  bool dense = false;
  if constexpr (vectorized<Scalar>) {
    dense = head.is_product() && head.keys->scored().in_panels() && head.rule().traits().takes_vectors;
    if (dense && head.rule().traits().online) {
      forward_streaming(head, range, scratch, out);
    } else if (dense) {
      dense = !find_candidates<Scalar>(head, block, true, refining_by(head.rule()), scratch);
      if (!dense) return forward_sparse(head, range, scratch, out, record);
      forward_dense(head, range, scratch, out, record != nullptr);
    }
  }
  if (!dense) {
    find_candidates<Scalar>(head, block, false, refining_by(head.rule()), scratch);
    return forward_sparse(head, range, scratch, out, record);
  }
  if (record != nullptr) assign(*record, scratch, range.count, true);
  if (head.nonfinite_values().empty()) return;
  // The dense product used 0 for non-finite values: recomputes, key by key, the rows that can see one.
  weigh_block(head, block, scratch, [&](Index i, std::span<const KeyIndex> keys, RowView<Scalar> p) {
    if (head.sees_nonfinite_value(i)) mix(head.value(), keys, p, out.data() + i * out.outerStride());
  });
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
