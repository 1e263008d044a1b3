// The forward pass of one head, block by block: score, weigh, mix.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/candidates.hpp"
#include "nadaraya/engine/correct_weights.hpp"
#include "nadaraya/engine/dense_mix.hpp"
#include "nadaraya/engine/forward_dense.hpp"
#include "nadaraya/engine/forward_streaming.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/read_rows.hpp"
#include "nadaraya/engine/record.hpp"

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

/// The maps of the rows of a block.
template <class Scalar>
void solve(const Head<Scalar>& head, std::size_t count, BlockScratch<Scalar>& scratch) {
  const std::span<CandidateRow<Scalar>> rows(scratch.rows.data(), count);
  const std::span<RowNormalizer<Scalar>> maps(scratch.maps);
  for (std::size_t first = 0, last = 0; first < count; first = last) {
    const RowRule<Scalar>& rule = head.rule_of(static_cast<Index>(first));
    last = head.members.empty() ? count : first + 1;
    while (last < count && &head.rule_of(static_cast<Index>(last)) == &rule) ++last;
    rule.solve(rows.subspan(first, last - first), maps.subspan(first, last - first));
  }
}

/// From the candidates of a block to weights: visit(i, support, weights) for its queries, in their order there.
template <class Scalar, class Visit>
void weigh_candidates(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch, const Visit& visit) {
  const auto count = static_cast<std::size_t>(range.count);
  scratch.maps.resize(count);
  solve(head, count, scratch);
  for (std::size_t r = 0; r < count; ++r) {
    CandidateRow<Scalar>& row = scratch.rows[r];
    const Index query = head.query_at(range.first + static_cast<Index>(r));
    const RowNormalizer<Scalar>& map = scratch.maps[r];
    // Which keys a NaN left among the candidates depends on the order of tiles: take them all.
    if (detail::is_nan(map.mass)) take_all_visible(head, query, row);
    head.rule_of(query).weigh(row, map, scratch.weights);
    const RowOut<Scalar> p(scratch.weights.data(), row.size());
    correct_weights(head, query, row.keys(), map, p, scratch);
    visit(query, row.keys(), RowView<Scalar>(p));
  }
}

/// Score and weigh: visit(i, support, weights) for the queries of a block, in their order there.
template <class Scalar, class Visit>
void weigh_block(const Head<Scalar>& head, Index block, BlockScratch<Scalar>& scratch, const Visit& visit) {
  find_candidates<Scalar>(head, block, false, refining_by(head, scratch), scratch);
  weigh_candidates(head, block_range(block, head.query.rows), scratch, visit);
}

/// Is a list of the supported pairs of rows [first, first + count) of a block longer, and slower to pull back through, than
/// all visible pairs formed again?
template <class Scalar>
bool mostly_supported(const Head<Scalar>& head, Index first_query, Index first, Index count,
                      const BlockScratch<Scalar>& scratch) {
  if (!head.is_product() || head.policies.lists_keys()) return false;
  // Formed again, they would be summed in another order.
  if (scratch.screened) return false;
  std::size_t listed = 0;
  Index visible = 0;
  for (Index r = first; r < first + count; ++r) {
    listed += scratch.rows[static_cast<std::size_t>(r)].size();
    const KeyRange keys = head.mask().range(first_query + r, head.extent());
    visible += keys.last - keys.first;
  }
  return listed >= 64 * static_cast<std::size_t>(count) && 2 * listed > static_cast<std::size_t>(visible);
}

/// Records rows [first, first + count) of a weighed block, those of the queries from first_query on unless said otherwise.
/// Their lists are kept unless `recomputed`.
template <class Scalar>
void assign(Record<Scalar>& record, const BlockScratch<Scalar>& scratch, Index first_query, Index first, Index count,
            bool recomputed) {
  record.first_query = first_query;
  record.support_sizes.assign(scratch.supports.begin() + first, scratch.supports.begin() + first + count);
  if (record.counts_only) return;
  record.maps.assign(scratch.maps.begin() + first, scratch.maps.begin() + first + count);
  record.recompute = recomputed;
  record.keys.clear();
  record.coordinates.clear();
  record.ends.clear();
  if (recomputed) return;
  const std::span<const CandidateRow<Scalar>> rows(scratch.rows.data() + first, static_cast<std::size_t>(count));
  std::size_t total = 0;
  for (const CandidateRow<Scalar>& row : rows) record.ends.push_back(total += row.size());
  record.keys.reserve(total);
  record.coordinates.reserve(total);
  for (const CandidateRow<Scalar>& row : rows) {
    record.keys.insert(record.keys.end(), row.keys().begin(), row.keys().end());
    record.coordinates.insert(record.coordinates.end(), row.values().begin(), row.values().end());
  }
}

/// The records that the rows of a block go to, one for each of its heads and each of as many rows; none if it is not recorded.
template <class Scalar>
using Records = std::span<Record<Scalar>* const>;

/// The rows of a block from lists of their keys, whose candidates are found.
template <class Scalar>
void forward_sparse(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch, MatrixMap<Scalar>& out,
                    Records<Scalar> records) {
  DenseMix<Scalar> dense(head, scratch);
  const bool may_be_dense = vectorized<Scalar> && !head.rule().traits().selects;
  std::size_t r = 0;
  weigh_candidates(head, range, scratch, [&](Index i, std::span<const KeyIndex> keys, RowView<Scalar> p) {
    if (!records.empty()) scratch.supports[r] = static_cast<KeyIndex>(support_size(head, p));
    ++r;
    Scalar* const out_i = out.data() + i * out.outerStride();
    if (may_be_dense && dense.worthwhile(keys) && !head.sees_nonfinite_value(i)) {
      dense.add(keys, p, out_i);
    } else {
      mix(head, keys, p, out_i, scratch);
    }
  });
  dense.flush();
  Index first = 0;
  for (Record<Scalar>* const record : records) {
    const Index count = range.count / static_cast<Index>(records.size());
    assign(*record, scratch, head.own_query(range.first + first), first, count,
           !head.rule().traits().sparse || mostly_supported(head, range.first, first, count, scratch));
    first += count;
    if (head.order.empty()) continue;
    const auto queries = head.order.subspan(static_cast<std::size_t>(range.first), static_cast<std::size_t>(count));
    record->queries.assign(queries.begin(), queries.end());
  }
}

/// Finishes rows that were summed as products of matrices: records them, and forms those that see a value that
/// is not finite, where the product used 0, key by key.
template <class Scalar>
void finish_dense(const Head<Scalar>& head, Index block, BlockScratch<Scalar>& scratch, MatrixMap<Scalar>& out,
                  Records<Scalar> records) {
  const QueryRange range = block_range(block, head.query.rows);
  Index first = 0;
  for (Record<Scalar>* const record : records) {
    const Index count = range.count / static_cast<Index>(records.size());
    assign(*record, scratch, head.own_query(range.first + first), first, count, true);
    first += count;
  }
  if (head.nonfinite_values().empty()) return;
  weigh_block(head, block, scratch, [&](Index i, std::span<const KeyIndex> keys, RowView<Scalar> p) {
    if (head.sees_nonfinite_value(i)) mix(head, keys, p, out.data() + i * out.outerStride(), scratch);
  });
}

/// Writes the rows of a block to `out`, the whole result, and fills their records. Rows are formed without
/// lists of their keys where that is faster: under a rule that can be summed key by key, and where rows seem to keep nearly
/// all their keys.
template <class Scalar>
void forward_block(const Head<Scalar>& head, Index block, BlockScratch<Scalar>& scratch, MatrixMap<Scalar> out,
                   Records<Scalar> records) {
  const QueryRange range = block_range(block, head.query.rows);
  scratch.supports.resize(static_cast<std::size_t>(range.count));
  if constexpr (vectorized<Scalar>) {
    if (streams_rows(head)) {
      stream_keys(head, range, KeyRange{0, head.key().rows}, scratch, scratch.streamed);
      finish_streaming(range, out.cols(), scratch.streamed, scratch, out);
      return finish_dense(head, block, scratch, out, records);
    }
    if (head.is_product() && head.keys->scored().in_panels() && !head.policies.lists_keys()) {
      if (head.rule().traits().online) {
        forward_streaming(head, range, scratch, out);
        return finish_dense(head, block, scratch, out, records);
      }
      if (!find_candidates<Scalar>(head, block, true, refining_by(head, scratch), scratch)) {
        forward_dense(head, range, scratch, out, !records.empty());
        return finish_dense(head, block, scratch, out, records);
      }
      return forward_sparse(head, range, scratch, out, records);
    }
  }
  find_candidates<Scalar>(head, block, false, refining_by(head, scratch), scratch);
  forward_sparse(head, range, scratch, out, records);
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
