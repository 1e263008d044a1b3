// The candidates of a block of queries: the keys whose similarity exceeds the floor of their row, found by a grid, by
// screening or by a scan.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/candidate_lists.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/query_block.hpp"
#include "nadaraya/engine/scan.hpp"
#include "nadaraya/engine/screen.hpp"

#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

// There are two orders of summation over the columns of a query and a key: that of panels, with keys side by side (the
// loops candidates and score_panel), and that of rows (products and scores). All keys of a query are scored in one of them,
// so that equal keys have equal similarities, bit by bit: in that of rows if the block is screened or keys are not in
// panels, in that of panels otherwise. A scale is multiplied with the sum.

/// Empties the rows of a block; they are refined before they have any key.
template <class Scalar>
void clear_rows(const QueryRange& range, const Refine<Scalar>& refine, BlockScratch<Scalar>& scratch) {
  scratch.rows.resize(static_cast<std::size_t>(block_queries));
  scratch.all.clear();
  for (CandidateRow<Scalar>& row : std::span(scratch.rows.data(), static_cast<std::size_t>(range.count))) {
    row.clear();
    scratch.all.push_back(&row);
  }
  refine(scratch.all);
  scratch.screened = false;
}

/// What the mask leaves a prepared block: each query, and all of them.
template <class Scalar>
KeyRange begin_ranges(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch) {
  scratch.ranges.resize(static_cast<std::size_t>(block_queries));
  scratch.lists.assign(static_cast<std::size_t>(block_queries), Candidates<Scalar>{});
  scratch.whole = false;
  for (Index r = 0; r < range.count; ++r) {
    scratch.ranges[static_cast<std::size_t>(r)] = head.mask().range(range.first + r, head.extent());
  }
  return range_of_each(head, range.count, scratch);
}

/// Makes scratch.rows[r] for the r-th query of a block: the visible keys whose similarity exceeds every floor known while
/// they were seen (NaN always does). If `sparse` is asked for, of a product, it stops where nearly all of the
/// keys seen first stay, and of those in the middle: then returns false, and the rows are not made.
template <class Scalar>
bool find_candidates(const Head<Scalar>& head, Index block, bool sparse, const Refine<Scalar>& refine,
                     BlockScratch<Scalar>& scratch) {
  const QueryRange range = block_range(block, head.query.rows);
  clear_rows(range, refine, scratch);
  if constexpr (vectorized<Scalar>) {
    if (!head.mask().traits().biased && head.keys->scored().grid() != nullptr) {
      head.similarity().grid()->find_by_grid(head, range, scratch);
      return true;
    }
  }
  const KeyRange seen = begin_block(head, range.first, range.count, scratch);
  const KeyRange each = begin_ranges(head, range, scratch);
  if constexpr (vectorized<Scalar>) {
    const Screened screened = screen_keys(head, range, seen, each, refine, scratch);
    scratch.screened = screened == Screened::made;
    if (scratch.screened) {
      score_screened(head, range.count, refine, scratch);
      return true;
    }
    if (sparse && screened == Screened::nearly_all) return false;
  }
  return find_by_scan(head, range, seen, each, sparse, refine, scratch);
}

/// Refines rows of a block by the rules of a head.
template <class Scalar>
auto refining_by(const Head<Scalar>& head, const BlockScratch<Scalar>& scratch) {
  return [&head, &scratch](std::span<CandidateRow<Scalar>* const> rows) {
    if (head.members.empty()) return head.rule().refine(rows);
    while (!rows.empty()) {
      const auto rule_of = [&](const CandidateRow<Scalar>* row) { return &head.rule_of(row - scratch.rows.data()); };
      const RowRule<Scalar>* const rule = rule_of(rows.front());
      std::size_t count = 1;
      while (count < rows.size() && rule_of(rows[count]) == rule) ++count;
      rule->refine(rows.first(count));
      rows = rows.subspan(count);
    }
  };
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
