// Candidates by a scan of all keys that a block sees, a tile of queries and a panel of keys at a time.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/candidate_lists.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/query_block.hpp"
#include "nadaraya/engine/read_rows.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/simd/bits.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Do candidates leave the product loop as such? Not if a bias has to come between the products and the floors; and they
/// do from packed keys.
template <class Scalar>
bool lists_candidates(const Head<Scalar>& head) {
  return head.by_products() && !head.mask().traits().biased && head.keys->scored().in_panels();
}

/// Entries [begin, end) of a row are there by a bound: gives them their similarity and drops those
/// that the floor rules out after all. Returns the new end.
template <class Scalar>
std::size_t score_exactly(const Head<Scalar>& head, Index query, CandidateRow<Scalar>& row, std::size_t begin, std::size_t end,
                          BlockScratch<Scalar>& scratch) {
  const auto count = static_cast<Index>(end - begin);
  KeyIndex* const keys = row.key_data() + begin;
  Scalar* const z = row.value_data() + begin;
  score_listed(head, query, keys, count, z, scratch);
  return begin + static_cast<std::size_t>(loops<Scalar>().prune(z, keys, count, row.floor()));
}

/// Adds the candidates of query r of the block among keys `range` of a panel, pair by pair, for masks with holes or a
/// bias and for similarities that are no products; z holds the products with the panel, if the similarity is one.
template <class Scalar>
void score_pairs(const Head<Scalar>& head, Index query, Index r, const KeyRange& range, Index first_key, const Scalar* z,
                 BlockScratch<Scalar>& scratch) {
  CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
  const std::uint64_t visible = visible_bits(head, query, range, first_key);
  const std::size_t before = row.size();
  KeyIndex* const keys = row.key_data() + before;
  Scalar* const scores = row.value_data() + before;
  Index count = 0;
  for (Index j = range.first; j < range.last; ++j) {
    if ((visible >> (j - first_key) & 1) == 0) continue;
    if (head.is_product()) scores[count] = z[j - first_key];
    keys[count++] = static_cast<KeyIndex>(j);
  }
  if (!head.is_product()) score_listed(head, query, keys, count, scores, scratch);
  if (head.mask().traits().biased) head.mask().add_bias(query, KeyList::listed(keys, count), head.extent(), scores);
  row.resize(before + static_cast<std::size_t>(loops<Scalar>().prune(scores, keys, count, row.floor())));
}

/// Adds the candidates of query r of the block among keys `range` of a panel; z holds the products with the panel, if
/// they are formed.
template <class Scalar>
void score_row(const Head<Scalar>& head, Index query, Index r, const KeyRange& range, Index first_key, Scalar* z,
               BlockScratch<Scalar>& scratch) {
  CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
  row.reserve(static_cast<std::size_t>(panel_keys));
  if constexpr (vectorized<Scalar>) {
    if (head.by_products() && !head.mask().traits().holed && !head.mask().traits().biased) {
      const std::size_t before = row.size();
      if (!head.is_product()) {
        const auto by = bound_of(head, r, scratch);
        loops<Scalar>().shift(z, head.keys->scored().norms(first_key), panel_keys, by.key_norm, by.constant);
      }
      const Index found = loops<Scalar>().filter(z + (range.first - first_key), range.last - range.first, row.floor(),
                                                 static_cast<KeyIndex>(range.first), row.value_data() + before,
                                                 row.key_data() + before);
      std::size_t end = before + static_cast<std::size_t>(found);
      if (!head.is_product()) end = score_exactly(head, query, row, before, end, scratch);
      row.resize(end);
      return;
    }
  }
  score_pairs(head, query, r, range, first_key, z, scratch);
}

/// Adds the candidates that queries [r, r + rows) of the block find in one panel, through their lists.
template <class Scalar>
void list_tile(const Head<Scalar>& head, Index first_query, Index r, Index rows, Index first_key,
               BlockScratch<Scalar>& scratch) {
  // The product loop takes six: those without a query see nothing.
  Candidates<Scalar>* const lists = scratch.lists.data() + r;
  std::uint64_t any = 0;
  for (Index i = 0; i < rows; ++i) {
    make_room(head, r + i, scratch);
    any |= lists[i].visible;
  }
  if (any == 0) return;
  // Memory brings about three rows in the time of a tile.
  scratch.ahead.fetch(3);
  const Index cols = head.query.cols;
  const Scalar* const panel = packed_panel(head, first_key, scratch);
  const auto key = static_cast<KeyIndex>(first_key);
  if (head.is_product()) {
    loops<Scalar>().candidates(cols, query_data(head, r, scratch), cols, panel, key, lists, head.factor);
  } else {
    KeyIndex* before[tile_queries];
    for (Index i = 0; i < rows; ++i) before[i] = lists[i].key;
    loops<Scalar>().shifted_candidates(cols, query_data(head, r, scratch), cols, panel, head.keys->scored().norms(first_key),
                                       bound_of(head, r, scratch).key_norm, key, lists, head.factor);
    for (Index i = 0; i < rows; ++i) {
      CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r + i)];
      const auto position = [&](const KeyIndex* at) { return static_cast<std::size_t>(at - row.key_data()); };
      const auto kept = static_cast<std::ptrdiff_t>(
          score_exactly(head, first_query + r + i, row, position(before[i]), position(lists[i].key), scratch));
      lists[i].key = row.key_data() + kept;
      lists[i].z = row.value_data() + kept;
    }
  }
}

/// Adds the candidates that queries [r, r + rows) of the block find in one panel.
template <class Scalar>
void score_tile(const Head<Scalar>& head, Index first_query, Index r, Index rows, Index first_key,
                BlockScratch<Scalar>& scratch) {
  bool any = false;
  for (Index i = 0; i < rows; ++i) {
    const KeyRange range = in_panel(r + i, first_key, scratch);
    any = any || range.first < range.last;
  }
  if (!any) return;
  if constexpr (vectorized<Scalar>) {
    if (head.by_products()) {
      const ScoredKeys<Scalar>& scored = head.keys->scored();
      const Index cols = head.key().cols;
      if (scored.in_panels()) {
        loops<Scalar>().score_panel(rows, cols, query_data(head, r, scratch), cols, scored.panel(first_key), head.factor,
                                    scratch.tile.data(), panel_keys);
      } else {
        const Index count = (std::min)(panel_keys, head.key().rows - first_key);
        const Index some = keys_at_once(head, count);
        for (Index j = 0; j < count; j += some) {
          const View<Scalar> keys = key_rows(head, first_key + j, (std::min)(some, count - j), scratch);
          for (Index i = 0; i < rows; ++i) {
            loops<Scalar>().products(keys.data, keys.stride, keys.rows, cols, query_data(head, r + i, scratch),
                                     scratch.tile.data() + i * panel_keys + j, head.factor);
          }
        }
      }
    }
  }
  for (Index i = 0; i < rows; ++i) {
    const KeyRange range = in_panel(r + i, first_key, scratch);
    if (range.first >= range.last) continue;
    score_row(head, first_query + r + i, r + i, range, first_key, scratch.tile.data() + i * panel_keys, scratch);
  }
}

/// How many candidates a row has on average.
template <class Scalar>
double kept_of(std::span<const CandidateRow<Scalar>> rows) {
  std::size_t kept = 0;
  for (const CandidateRow<Scalar>& row : rows) kept += row.size();
  return static_cast<double>(kept) / static_cast<double>(rows.size());
}

/// True if more than 15/16 of the `seen` keys are still candidates.
inline bool nearly_all(double kept, double seen) { return 16.0 * kept > 15.0 * seen; }

/// Is that so of the keys in the middle as well? Keys that are alike, as where they fill up a sequence, may come first.
/// Asked of a tile of queries, which have their floors, under a similarity that is a product.
template <class Scalar>
bool keep_middle(const Head<Scalar>& head, const QueryRange& range, const KeyRange& seen, BlockScratch<Scalar>& scratch) {
  const Index first_key = panel_begin((seen.first + seen.last) / 2);
  const Index asked = (std::min)(tile_queries, range.count);
  const Index cols = head.query.cols;
  loops<Scalar>().score_panel(asked, cols, query_data(head, 0, scratch), cols, packed_panel(head, first_key, scratch),
                              head.factor, scratch.tile.data(), panel_keys);
  double visible = 0, kept = 0;
  for (Index r = 0; r < asked; ++r) {
    CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
    const KeyRange part = in_panel(r, first_key, scratch);
    if (part.first >= part.last) continue;
    const std::size_t before = row.size();
    score_row(head, range.first + r, r, part, first_key, scratch.tile.data() + r * panel_keys, scratch);
    visible += simd::count_ones(visible_bits(head, range.first + r, part, first_key));
    kept += static_cast<double>(row.size() - before);
    row.resize(before);
  }
  return nearly_all(kept, visible);
}

/// Raises the floors of rows as far as their candidates tell, and may drop some that it rules out.
template <class Scalar>
using Refine = detail::FunctionRef<void(std::span<CandidateRow<Scalar>* const> rows)>;

/// Fills the rows of a prepared block, which are empty, with the visible keys whose similarity exceeds every floor known
/// while they were seen. If `sparse` is asked for, gives up where nearly all of the keys seen first stay, and of those in the
/// middle, and returns false.
template <class Scalar>
bool find_by_scan(const Head<Scalar>& head, const QueryRange& range, const KeyRange& seen, const KeyRange& each, bool sparse,
                  const Refine<Scalar>& refine, BlockScratch<Scalar>& scratch) {
  const std::span<CandidateRow<Scalar>> rows(scratch.rows.data(), static_cast<std::size_t>(range.count));
  const bool in_lists = lists_candidates(head);
  if (in_lists) {
    head.keys->scored().pack();
    begin_append_all(head, range.count, scratch);
  }
  // Floors rise when a row has seen four times as many keys as the last time; those of a row that
  // keeps most of its keys, which gains little by it, more seldom.
  Index keys_seen = 0;
  Index refine_at = panel_keys;
  bool seldom = false;
  for (Index first_key = panel_begin(seen.first); first_key < seen.last; first_key += panel_keys) {
    if (in_lists) show_panel(head, range, first_key, each, scratch);
    for (Index r = 0; r < range.count; r += tile_queries) {
      const Index count = (std::min)(tile_queries, range.count - r);
      if constexpr (vectorized<Scalar>) {
        if (in_lists) {
          list_tile(head, range.first, r, count, first_key, scratch);
          continue;
        }
      }
      score_tile(head, range.first, r, count, first_key, scratch);
    }
    keys_seen += panel_keys;
    if (keys_seen < refine_at || first_key + panel_keys >= seen.last) continue;
    if (in_lists) end_append_all(range.count, scratch);
    scratch.some.clear();
    for (CandidateRow<Scalar>& row : rows) {
      if (!seldom || 2 * static_cast<Index>(row.size()) <= keys_seen) scratch.some.push_back(&row);
    }
    refine(scratch.some);
    if constexpr (vectorized<Scalar>) {
      const auto kept = [&] { return kept_of(std::span<const CandidateRow<Scalar>>(rows)); };
      if (sparse && keys_seen == panel_keys && nearly_all(kept(), static_cast<double>(panel_keys)) &&
          keep_middle(head, range, seen, scratch)) {
        return false;
      }
    }
    if (in_lists) begin_append_all(head, range.count, scratch);
    refine_at *= 4;
    seldom = !seldom;
  }
  if (in_lists) end_append_all(range.count, scratch);
  return true;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
