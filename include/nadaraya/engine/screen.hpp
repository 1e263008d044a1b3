// Candidates by screening: bounds from quantized keys rule most of them out, the others are scored one by one.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/candidate_lists.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/query_block.hpp"
#include "nadaraya/engine/read_rows.hpp"
#include "nadaraya/engine/scan.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/quantized/keys.hpp"
#include "nadaraya/quantized/screening_needs.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// What became of an attempt to screen a block: its rows, or empty ones.
enum class Screened { made, not_worth_it, nearly_all };

/// Raising a floor costs about what scoring this many keys does.
inline constexpr std::size_t most_scored_at_once = 32;

/// Keys that could be scored in the time in which screening scores the candidates of a query among `all` keys, given that
/// `left` of the `seen` keys have not been ruled out on average. As measured, candidates grow about with the root of the
/// number of keys.
inline double cost_of_candidates(double left, double seen, Index all) {
  return screening_needs().per_candidate * left * std::sqrt(static_cast<double>(all) / seen);
}

/// Scores a few pairs before anything is quantized: the first keys, and queries from all over the head. Borrows rows of a
/// block, which are empty.
template <class Scalar>
void sample_head(const Head<Scalar>& head, const Refine<Scalar>& refine, BlockScratch<Scalar>& scratch) {
  const View<Scalar> keys = key_rows(head, Index(0), (std::min)(panel_keys, head.key().rows), scratch);
  const std::span<CandidateRow<Scalar>* const> sample(scratch.all.data(), static_cast<std::size_t>(sampled_queries));
  Scalar floors[sampled_queries];
  Scalar* const z = scratch.tile.data();
  double asked = 0, seen = 0, kept = 0;
  for (Index i = 0; i < sampled_queries; ++i) {
    floors[i] = sample[static_cast<std::size_t>(i)]->floor();
    const Index query = (i + 1) * head.query.rows / sampled_queries - 1;
    const KeyRange range = head.mask().range(query, head.extent());
    const KeyRange part{range.first, (std::min)(range.last, keys.rows)};
    if (2 * (part.last - part.first) < panel_keys) continue;
    loops<Scalar>().products(keys.data, keys.stride, keys.rows, keys.cols, head.query.row(query), z, head.factor);
    score_row(head, query, i, part, Index(0), z, scratch);
    seen += static_cast<double>(part.last - part.first);
    ++asked;
  }
  refine(sample);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    kept += static_cast<double>(sample[i]->size());
    sample[i]->clear();
    sample[i]->set_floor(floors[i]);
  }
  if (4 * asked < static_cast<double>(sampled_queries)) return;
  head.sampled->seen = seen / asked;
  head.sampled->kept = kept / asked;
}

/// Does screening seem to pay for a block that sees `all` keys? The block's queries have to be quantized, and its share of
/// the keys if they are not yet.
template <class Scalar>
bool seems_sparse(const Head<Scalar>& head, Index all, const Refine<Scalar>& refine, BlockScratch<Scalar>& scratch) {
  if (head.sampled == nullptr) return true;
  head.sampled->sampling([&] { sample_head(head, refine, scratch); });
  const double seen = head.sampled->seen, kept = head.sampled->kept;
  const bool quantized = head.keys->scored().quantized_early();
  const double share = quantized ? 0.0 : static_cast<double>(all) / static_cast<double>(head.key().rows);
  const double quantizing = screening_needs().fixed * (1 + share) / 2;
  return seen == 0 || quantizing + cost_of_candidates(kept, seen, all) <= static_cast<double>(all);
}

/// Appends the candidates of one query in a panel that is not screened, scored as its other candidates will be: one by
/// one.
template <class Scalar>
void list_keys_of_panel(const Head<Scalar>& head, Index r, Index first_key, BlockScratch<Scalar>& scratch) {
  make_room(head, r, scratch);
  Candidates<Scalar>& list = scratch.lists[static_cast<std::size_t>(r)];
  if (list.visible == 0) return;
  const Index keys = (std::min)(panel_keys, head.key().rows - first_key);
  const View<Scalar> key = key_rows(head, first_key, keys, scratch);
  Scalar* const z = scratch.tile.data();
  loops<Scalar>().products(key.data, key.stride, keys, key.cols, query_data(head, r, scratch), z, head.factor);
  for (Index j = 0; j < keys; ++j) {
    if ((list.visible >> j & 1) == 0) z[j] = -Scalar(Eigen::NumTraits<Scalar>::infinity());
  }
  const Index found = loops<Scalar>().filter(z, keys, list.floor, static_cast<KeyIndex>(first_key), list.z, list.key);
  list.z += found;
  list.key += found;
}

/// The same for many queries. Products with the panel are bounds on what the other order of sums gives, with room to
/// spare in the bound slack of the rows but for keys that are far longer than others, or hold NaN: these are scored at once.
template <class Scalar>
void list_exact_panel(const Head<Scalar>& head, Index count, Index first_key, BlockScratch<Scalar>& scratch) {
  const Index cols = head.key().cols;
  const Index keys = (std::min)(panel_keys, head.key().rows - first_key);
  const Scalar* const panel = packed_panel(head, first_key, scratch);
  const View<Scalar> key = key_rows(head, first_key, keys, scratch);
  const Scalar longest = head.keys->scored().quantized().longest_listed();
  const Scalar factor = head.factor;
  std::uint64_t too_long = 0;
  scratch.lengths.assign(static_cast<std::size_t>(panel_keys), Scalar(0));
  for (Index j = 0; j < keys; ++j) {
    const Scalar* x = key.row(j);
    Scalar square;
    loops<Scalar>().products(x, cols, Index(1), cols, x, &square, Scalar(1));
    if (length_bound(square, cols) <= longest) continue;
    too_long |= std::uint64_t(1) << j;
    // Then it passes every floor.
    scratch.lengths[static_cast<std::size_t>(j)] = std::numeric_limits<Scalar>::quiet_NaN();
  }
  for (Index r = 0; r < count; r += tile_queries) {
    const Index rows = (std::min)(tile_queries, count - r);
    Candidates<Scalar> lists[tile_queries];
    std::uint64_t any = 0;
    for (Index i = 0; i < rows; ++i) {
      make_room(head, r + i, scratch);
      lists[i] = scratch.lists[static_cast<std::size_t>(r + i)];
      lists[i].shift = -scratch.quantized.listed_error(r + i);
      lists[i].floor = scratch.quantized.floor(r + i) + Scalar(2) * lists[i].shift;
      any |= lists[i].visible;
    }
    if (any == 0) continue;
    loops<Scalar>().shifted_candidates(cols, query_data(head, r, scratch), cols, panel, scratch.lengths.data(), Scalar(1),
                                       static_cast<KeyIndex>(first_key), lists, factor);
    for (Index i = 0; i < rows; ++i) {
      Candidates<Scalar>& list = scratch.lists[static_cast<std::size_t>(r + i)];
      const Index found = lists[i].key - list.key;
      Index kept = too_long == 0 ? found : 0;
      for (Index j = kept; j < found; ++j) {
        const KeyIndex at = list.key[j];
        Scalar z = list.z[j];
        if ((too_long >> (at - first_key) & 1) != 0) {
          loops<Scalar>().products(key.row(at - first_key), cols, Index(1), cols, query_data(head, r + i, scratch), &z, factor);
          if (z <= list.floor) continue;
        }
        list.key[kept] = at;
        list.z[kept++] = z;
      }
      list.z += kept;
      list.key += kept;
    }
  }
}

/// Appends the candidates of one panel to the rows.
template <class Scalar>
void screen_panel(const Head<Scalar>& head, const QueryRange& range, Index first_key, const KeyRange& each,
                  BlockScratch<Scalar>& scratch) {
  const Index panel = first_key / panel_keys;
  const bool exact = head.keys->scored().quantized().exact(panel);
  if (!exact && !scratch.quantized.begin_panel(panel, range.count)) return;
  show_panel(head, range, first_key, each, scratch);
  if (exact && range.count < ScoredKeys<Scalar>::worth_packing) {
    for (Index r = 0; r < range.count; ++r) list_keys_of_panel(head, r, first_key, scratch);
  } else if (exact) {
    list_exact_panel(head, range.count, first_key, scratch);
  } else {
    for (Index r = 0; r < range.count; ++r) make_room(head, r, scratch);
    scratch.quantized.screen(panel, range.count, scratch.lists.data());
  }
}

/// Numbers above the first and not above the second.
template <class Scalar>
struct Limits {
  Scalar above;
  Scalar most;
};

/// Writes down which candidates of row r lie within limits, and prefetches the first of their keys; returns how
/// many. Some of exact panels have their similarities, and are given the same once more.
template <class Scalar>
Index pick(const Head<Scalar>& head, Index r, const Limits<Scalar>& limits, BlockScratch<Scalar>& scratch) {
  CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
  LineVector<KeyIndex>& positions = scratch.positions[r % 2];
  if (positions.size() < row.size() + pack_slack) positions.resize(2 * (row.size() + pack_slack));
  const Index picked = loops<Scalar>().between(row.value_data(), static_cast<Index>(row.size()), limits.above, limits.most,
                                               positions.data());
  constexpr Index some = 16;
  fetch_places(head, positions.data(), (std::min)(some, picked), row.key_data());
  return picked;
}

/// Gives those candidates of each row their similarities whose bounds are within limits(row).
template <class Scalar>
void score_within(const Head<Scalar>& head, Index count,
                  const detail::FunctionRef<Limits<Scalar>(std::size_t row)>& limits, BlockScratch<Scalar>& scratch) {
  Index next = pick(head, 0, limits(0), scratch);
  for (Index r = 0; r < count; ++r) {
    const Index picked = next;
    if (r + 1 < count) next = pick(head, r + 1, limits(static_cast<std::size_t>(r + 1)), scratch);
    CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
    score_places(head, scratch.positions[r % 2].data(), picked, row.key_data(), query_data(head, r, scratch), row.value_data(),
                 scratch);
  }
}

/// Gives the screened candidates of a block their similarities. Of a long list first those whose bounds lie above the
/// floor: their scores raise it by about the slack of the bounds, which rules out half of the others.
template <class Scalar>
void score_screened(const Head<Scalar>& head, Index count, const Refine<Scalar>& refine, BlockScratch<Scalar>& scratch) {
  const std::span<CandidateRow<Scalar>> rows(scratch.rows.data(), static_cast<std::size_t>(count));
  const Scalar infinity(Eigen::NumTraits<Scalar>::infinity());
  scratch.some.clear();
  scratch.floors.assign(rows.size(), Scalar(-infinity));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].size() <= most_scored_at_once) continue;
    scratch.some.push_back(&rows[r]);
    scratch.floors[r] = rows[r].floor();
  }
  score_within<Scalar>(head, count, [&](std::size_t r) { return Limits<Scalar>{scratch.floors[r], infinity}; }, scratch);
  if (!scratch.some.empty()) {
    refine(scratch.some);
    score_within<Scalar>(head, count, [&](std::size_t r) { return Limits<Scalar>{-infinity, scratch.floors[r]}; }, scratch);
  }
  for (CandidateRow<Scalar>& row : rows) row.set_bound_slack(Scalar(0));
}

/// Fills the rows of a prepared block, which are empty, as find_by_scan does, but with lower bounds on similarities, which
/// score_screened makes similarities. Stops if there are no quantized keys, or too little is ruled out, or nearly nothing.
template <class Scalar>
Screened screen_keys(const Head<Scalar>& head, const QueryRange& range, const KeyRange& seen, const KeyRange& each,
                           const Refine<Scalar>& refine, BlockScratch<Scalar>& scratch) {
  const Screening screening = screening_of(head.policies);
  if (screening == Screening::never || !head.keys->scored().screened()) return Screened::not_worth_it;
  if (!seems_sparse(head, seen.last - seen.first, refine, scratch)) return Screened::not_worth_it;
  const QuantizedKeys<Scalar>& keys = head.keys->scored().quantized();
  if (keys.all_exact()) return Screened::not_worth_it;
  if (!scratch.quantized.prepare(scratch.query, range.count, keys, head.factor)) return Screened::not_worth_it;
  const std::span<CandidateRow<Scalar>> rows(scratch.rows.data(), static_cast<std::size_t>(range.count));
  for (Index r = 0; r < range.count; ++r) {
    CandidateRow<Scalar>& row = rows[static_cast<std::size_t>(r)];
    row.set_bound_slack(scratch.quantized.bound_slack(r));
    scratch.quantized.set_floor(r, row.floor());
  }
  begin_append_all(head, range.count, scratch);
  Index keys_seen = 0;
  Index refine_at = panel_keys;
  const TileConfig tiles(keys.groups());
  for (Index first_key = panel_begin(seen.first); first_key < seen.last; first_key += panel_keys) {
    screen_panel(head, range, first_key, each, scratch);
    keys_seen += panel_keys;
    const Index to_come = seen.last - first_key - panel_keys;
    // Before the last third, higher floors cost as much as the candidates that they rule out.
    if (keys_seen < refine_at || 2 * to_come <= keys_seen) continue;
    end_append_all(range.count, scratch);
    refine(scratch.all);
    const double kept = kept_of(std::span<const CandidateRow<Scalar>>(rows));
    const bool all_kept = nearly_all(kept, static_cast<double>(keys_seen));
    const Index all = keys_seen + to_come;
    if (all_kept || cost_of_candidates(kept, double(keys_seen), all) > double(all)) {
      const bool flat = all_kept && keys_seen == panel_keys && keep_middle(head, range, seen, scratch);
      for (CandidateRow<Scalar>& row : rows) row.clear();
      refine(scratch.all);
      return flat ? Screened::nearly_all : Screened::not_worth_it;
    }
    for (Index r = 0; r < range.count; ++r) scratch.quantized.set_floor(r, rows[static_cast<std::size_t>(r)].floor());
    begin_append_all(head, range.count, scratch);
    // Raising the floors of short lists costs less than the candidates that pass lower ones.
    refine_at *= keys_seen >= 1024 && kept <= 32 ? 2 : 4;
  }
  end_append_all(range.count, scratch);
  refine(scratch.all);
  return Screened::made;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
