// The score pass: the similarities of a block of queries with all keys, and for each query the keys
// above its floor.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/block.hpp"
#include "nadaraya/engine/buffer.hpp"
#include "nadaraya/engine/near_rows.hpp"
#include "nadaraya/engine/packed.hpp"
#include "nadaraya/engine/row.hpp"
#include "nadaraya/engine/scored_keys.hpp"
#include "nadaraya/engine/sketch.hpp"
#include "nadaraya/engine/sketch_tiers.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/similarity/similarity.hpp"
#include "nadaraya/simd/bits.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The similarities of all pairs that a mask leaves visible.
///
/// There are two orders of summation over the columns: that of panels, with keys side by side (Loops::candidates and
/// score_panel), and that of rows (Loops::products and scores). All keys of a query are scored in one of them, so that
/// equal keys have equal similarities, bit by bit: in that of rows if the block is screened or keys are not in panels, in
/// that of panels otherwise. A scale is multiplied with the sum.
template <class Scalar, class Sim, class M>
class Scores {
 public:
  /// Raises the floors of rows as far as their candidates tell, and may drop some that it rules out.
  using Refine = detail::FunctionRef<void(std::span<Row<Scalar>* const> rows)>;

  /// The policies, the views and the scored keys must outlive this object. With keys in a grid, `order` may
  /// name the queries that the blocks are made of, one after the other.
  Scores(const Sim& similarity, const M& mask, const View<Scalar>& queries, const View<Scalar>& keys,
         const ScoredKeys<Scalar, Sim>& scored, std::span<const KeyIndex> order = {})
      : similarity_(similarity),
        mask_(mask),
        queries_(queries),
        keys_(keys),
        scored_(scored),
        order_(order) {}

  Extent extent() const { return Extent{queries_.rows, keys_.rows}; }

  /// The query that takes a place in the order of the blocks.
  Index query(Index place) const { return order_.empty() ? place : Index(order_[static_cast<std::size_t>(place)]); }

  /// Makes work.rows[r] for the r-th query of a block: the visible keys whose similarity exceeds every floor
  /// known while they were seen (NaN always does). Rows have no floor, and no key, when they are first refined.
  void score_block(Index block, const Refine& refine, Workspace<Scalar>& work) const {
    score<false>(block, refine, work);
  }

  /// The same, unless nearly all of the keys seen first stay, and of those in the middle: then false, and the rows are not
  /// made. For products.
  bool score_sparse_block(Index block, const Refine& refine, Workspace<Scalar>& work) const {
    return score<true>(block, refine, work);
  }

  /// Keys are screened from now on, if there is a sketch of them.
  void screen() { sketch_ = scored_.sketch(); }

  /// Prepares `count` queries for scoring; returns the range that holds every key they see.
  KeyRange begin_block(Index first_query, Index count, Workspace<Scalar>& work) const {
    work.tile.resize(static_cast<std::size_t>(tile_queries * panel_keys + Index(pack_slack)));
    if constexpr (by_products) {
      work.norms.resize(static_cast<std::size_t>(count));
      // Contiguous, and followed by zeros for whole tiles: leftovers there may be denormal, which is slow.
      const bool as_they_lie = queries_.stride == queries_.cols && count % tile_queries == 0;
      work.query = queries_.row(first_query);
      if (!as_they_lie) {
        work.queries.resize(static_cast<std::size_t>((count + tile_queries) * queries_.cols));
        work.query = work.queries.data();
        std::fill_n(work.queries.data() + count * queries_.cols, tile_queries * queries_.cols, Scalar(0));
      }
      for (Index r = 0; r < count; ++r) {
        const Scalar* q = queries_.row(first_query + r);
        if (!as_they_lie) std::copy_n(q, queries_.cols, work.queries.data() + r * queries_.cols);
        if constexpr (!is_product) work.norms[static_cast<std::size_t>(r)] = bounding_norm(q, queries_.cols);
      }
    }
    return range_of_all(mask_, first_query, count, extent());
  }

  /// The products of queries [r, r + count) of a prepared block with the packed keys [first, last), times the
  /// similarity's factor: rows of z, `ld` apart, with room for whole panels. `first` begins a panel.
  void products(Index r, Index count, Index first, Index last, const Workspace<Scalar>& work, Scalar* z, Index ld) const {
    with_loops<Scalar>([&](auto loops) {
      for (Index key = first; key < last; key += panel_keys) {
        loops.score_panel(count, queries_.cols, query_data(r, work), queries_.cols, scored_.panel(key), factor(),
                          z + (key - first), ld);
      }
    });
  }

 private:
  template <bool Sparse>
  bool score(Index block, const Refine& refine, Workspace<Scalar>& work) const {
    const auto [first_query, count] = block_range(block, queries_.rows);
    work.rows.resize(static_cast<std::size_t>(block_queries));
    const std::span<Row<Scalar>> rows(work.rows.data(), static_cast<std::size_t>(count));
    work.all.clear();
    for (Row<Scalar>& row : rows) {
      row.clear();
      work.all.push_back(&row);
    }
    refine(work.all);
    work.screened = false;
    if constexpr (Gridded<Scalar, Sim, M>) {
      if (!scored_.grid().empty()) {
        find_near_rows(first_query, count, work);
        return true;
      }
    }
    const KeyRange seen = begin_block(first_query, count, work);
    work.ranges.resize(static_cast<std::size_t>(block_queries));
    work.lists.assign(static_cast<std::size_t>(block_queries), Candidates<Scalar>{});
    work.whole = false;
    for (Index r = 0; r < count; ++r) {
      work.ranges[static_cast<std::size_t>(r)] = mask_.range(first_query + r, extent());
    }
    const KeyRange each = range_of_each(count, work);
    const Screened screened = screen_block(first_query, count, seen, each, refine, work);
    work.screened = screened == Screened::made;
    if (work.screened) return true;
    if (Sparse && screened == Screened::nearly_all) return false;

    const bool in_lists = lists_candidates && scored_.in_panels();
    if constexpr (lists_candidates) {
      if (in_lists) {
        scored_.pack();
        open_lists(count, work);
      }
    }
    // Floors rise when a row has seen four times as many keys as the last time; those of a row that
    // keeps most of its keys, which gains little by it, more seldom.
    Index keys_seen = 0;
    Index refine_at = panel_keys;
    bool seldom = false;
    for (Index first_key = panel_begin(seen.first); first_key < seen.last; first_key += panel_keys) {
      if (in_lists) show_panel(first_query, count, first_key, each, work);
      for (Index r = 0; r < count; r += tile_queries) {
        score_tile(first_query, r, (std::min)(tile_queries, count - r), first_key, work);
      }
      keys_seen += panel_keys;
      if (keys_seen < refine_at || first_key + panel_keys >= seen.last) continue;
      if (in_lists) close_lists(count, work);
      work.some.clear();
      for (Row<Scalar>& row : rows) {
        if (!seldom || 2 * static_cast<Index>(row.size()) <= keys_seen) work.some.push_back(&row);
      }
      refine(work.some);
      if constexpr (Sparse) {
        if (keys_seen == panel_keys && nearly_all(kept_of(rows), panel_keys) && keep_middle(first_query, count, seen, work)) return false;
      }
      if (in_lists) open_lists(count, work);
      refine_at *= 4;
      seldom = !seldom;
    }
    if (in_lists) close_lists(count, work);
    return true;
  }

  /// Fills the rows of a block, which are empty and have all of their floor, through the grid.
  void find_near_rows(Index first_query, Index count, Workspace<Scalar>& work) const {
    for (Index r = 0; r < count; ++r) {
      // Queries are near each other, but not in memory.
      if (r + 8 < count) simd::prefetch(queries_.row(query(first_query + r + 8)));
      Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
      const Scalar reach = similarity_.reach(row.floor(), keys_.cols);
      find_near(scored_.grid(), similarity_, mask_, queries_, keys_, query(first_query + r), reach, work.near_keys, work.tile, row);
    }
  }

  /// Products are formed tile by tile where the similarity is one, or is bounded by one.
  static constexpr bool by_products = ScoredKeys<Scalar, Sim>::by_products;
  static constexpr bool is_product = requires { requires Sim::is_product; };
  static constexpr bool elementwise_mask = HoledMask<M> || BiasMask<M>;

  /// Can candidates leave the product loop as such? Not if a bias has to come between the products and
  /// the floors; and they do from packed keys.
  static constexpr bool lists_candidates = by_products && !BiasMask<M>;

  /// What a product is multiplied with to make a similarity, or a bound on one.
  Scalar factor() const { return similarity_.template product_bound<Scalar>(Scalar(0), queries_.cols).product; }

  /// Query r of a prepared block.
  const Scalar* query_data(Index r, const Workspace<Scalar>& work) const { return work.query + r * queries_.cols; }

  /// What became of an attempt to screen a block: its rows, or empty ones.
  enum class Screened { made, not_worth_it, nearly_all };

  /// The same as the rest of `score`, with the keys screened first. Stops if there is no sketch, or too little is
  /// ruled out, or nearly nothing.
  Screened screen_block([[maybe_unused]] Index first_query, [[maybe_unused]] Index count, [[maybe_unused]] const KeyRange& seen,
                    [[maybe_unused]] const KeyRange& each, [[maybe_unused]] const Refine& refine,
                    [[maybe_unused]] Workspace<Scalar>& work) const {
    if constexpr (lists_candidates && is_product) {
      if (sketch_ == nullptr || sketch_->all_exact()) return Screened::not_worth_it;
      if (!work.sketch.prepare(work.query, count, *sketch_, factor())) return Screened::not_worth_it;
      const std::span<Row<Scalar>> rows(work.rows.data(), static_cast<std::size_t>(count));
      for (Index r = 0; r < count; ++r) {
        Row<Scalar>& row = rows[static_cast<std::size_t>(r)];
        row.set_margin(work.sketch.margin(r));
        work.sketch.set_level(r, row.floor());
      }
      open_lists(count, work);
      Index keys_seen = 0;
      Index refine_at = panel_keys;
      const Screen screen(sketch_->groups());
      for (Index first_key = panel_begin(seen.first); first_key < seen.last; first_key += panel_keys) {
        screen_panel(first_query, count, first_key, each, work);
        keys_seen += panel_keys;
        if (keys_seen < refine_at || first_key + panel_keys >= seen.last) continue;
        close_lists(count, work);
        refine(work.all);
        const double kept = kept_of(rows);
        const Index to_come = seen.last - first_key - panel_keys;
        const bool all_kept = nearly_all(kept, static_cast<double>(keys_seen));
        if (all_kept || !worth_going_on(kept, keys_seen, keys_seen + to_come)) {
          const bool flat = all_kept && keys_seen == panel_keys && keep_middle(first_query, count, seen, work);
          for (Row<Scalar>& row : rows) row.clear();
          refine(work.all);
          return flat ? Screened::nearly_all : Screened::not_worth_it;
        }
        for (Index r = 0; r < count; ++r) work.sketch.set_level(r, rows[static_cast<std::size_t>(r)].floor());
        open_lists(count, work);
        // Raising the floors of short lists costs less than the candidates that pass lower ones.
        refine_at *= keys_seen >= 1024 && kept <= 32 ? 2 : 4;
      }
      close_lists(count, work);
      refine(work.all);
      rescore(count, refine, work);
      return Screened::made;
    }
    return Screened::not_worth_it;
  }

  /// How many candidates a row has on average.
  static double kept_of(std::span<const Row<Scalar>> rows) {
    std::size_t kept = 0;
    for (const Row<Scalar>& row : rows) kept += row.size();
    return static_cast<double>(kept) / static_cast<double>(rows.size());
  }

  /// True if more than 15/16 of the `seen` keys are still candidates.
  static bool nearly_all(double kept, double seen) { return 16.0 * kept > 15.0 * seen; }

  /// Is that so of the keys in the middle as well? Keys that are alike, as where they fill up a sequence, may come first.
  /// Asked of a tile of queries, which have their floors.
  bool keep_middle(Index first_query, Index count, const KeyRange& seen, Workspace<Scalar>& work) const {
    const Index first_key = panel_begin((seen.first + seen.last) / 2);
    const Index asked = (std::min)(tile_queries, count);
    with_loops<Scalar>([&](auto loops) {
      loops.score_panel(asked, queries_.cols, query_data(0, work), queries_.cols, packed_panel(first_key, work), factor(),
                        work.tile.data(), panel_keys);
    });
    double visible = 0, kept = 0;
    for (Index r = 0; r < asked; ++r) {
      Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
      const KeyRange range = in_panel(r, first_key, work);
      if (range.first >= range.last) continue;
      const std::size_t before = row.size();
      score_row(first_query, r, range, first_key, work.tile.data() + r * panel_keys, work);
      visible += simd::count_ones(visible_bits(first_query + r, range, first_key));
      kept += static_cast<double>(row.size() - before);
      row.resize(before);
    }
    return nearly_all(kept, visible);
  }

  /// True if screening pays for the rest, given that `left` of the `seen` keys have not been ruled out on average. As
  /// measured, candidates grow about with the root of the number of keys.
  static bool worth_going_on(double left, Index seen, Index all) {
    const double share = static_cast<double>(seen) / static_cast<double>(all);
    return screening_needs().per_candidate * left * std::sqrt(share) <= static_cast<double>(seen);
  }

  /// Appends the candidates of one panel to the rows.
  void screen_panel(Index first_query, Index count, Index first_key, const KeyRange& each, Workspace<Scalar>& work) const {
    const Index panel = first_key / panel_keys;
    const bool exact = sketch_->exact(panel);
    if (!exact && !work.sketch.aim(panel, count)) return;
    show_panel(first_query, count, first_key, each, work);
    if (exact && count < ScoredKeys<Scalar, Sim>::worth_packing) {
      for (Index r = 0; r < count; ++r) list_keys_of_panel(r, first_key, work);
    } else if (exact) {
      list_exact_panel(count, first_key, work);
    } else {
      for (Index r = 0; r < count; ++r) make_room(r, work);
      work.sketch.screen(panel, count, work.lists.data());
    }
  }

  /// Appends the candidates of one query in a panel that is not screened, scored as its other candidates will be: one by
  /// one.
  void list_keys_of_panel(Index r, Index first_key, Workspace<Scalar>& work) const {
    make_room(r, work);
    Candidates<Scalar>& list = work.lists[static_cast<std::size_t>(r)];
    if (list.visible == 0) return;
    const Index keys = (std::min)(panel_keys, keys_.rows - first_key);
    Scalar* const z = work.tile.data();
    with_loops<Scalar>([&](auto loops) {
      loops.products(keys_.row(first_key), keys_.stride, keys, keys_.cols, query_data(r, work), z, factor());
      for (Index j = 0; j < keys; ++j) {
        if ((list.visible >> j & 1) == 0) z[j] = -Scalar(Eigen::NumTraits<Scalar>::infinity());
      }
      const Index found = loops.filter(z, keys, list.floor, static_cast<KeyIndex>(first_key), list.z, list.key);
      list.z += found;
      list.key += found;
    });
  }

  /// The same for many queries. Products with the panel are bounds on what the other order of sums gives, with room to
  /// spare in the margin of the rows but for keys that are far longer than others, or hold NaN: these are scored at once.
  void list_exact_panel(Index count, Index first_key, Workspace<Scalar>& work) const {
    const Index cols = keys_.cols;
    const Index keys = (std::min)(panel_keys, keys_.rows - first_key);
    const Scalar longest = sketch_->longest_listed();
    std::uint64_t too_long = 0;
    work.lengths.assign(static_cast<std::size_t>(panel_keys), Scalar(0));
    with_loops<Scalar>([&](auto loops) {
      for (Index j = 0; j < keys; ++j) {
        const Scalar* key = keys_.row(first_key + j);
        Scalar square;
        loops.products(key, cols, Index(1), cols, key, &square);
        if (length_bound(square, cols) <= longest) continue;
        too_long |= std::uint64_t(1) << j;
        // Then it passes every floor.
        work.lengths[static_cast<std::size_t>(j)] = std::numeric_limits<Scalar>::quiet_NaN();
      }
    });
    const Scalar* const panel = packed_panel(first_key, work);
    for (Index r = 0; r < count; r += tile_queries) {
      const Index rows = (std::min)(tile_queries, count - r);
      Candidates<Scalar> lists[tile_queries];
      std::uint64_t any = 0;
      for (Index i = 0; i < rows; ++i) {
        make_room(r + i, work);
        lists[i] = work.lists[static_cast<std::size_t>(r + i)];
        lists[i].shift = -work.sketch.listed_error(r + i);
        lists[i].floor = work.sketch.level(r + i) + Scalar(2) * lists[i].shift;
        any |= lists[i].visible;
      }
      if (any == 0) continue;
      with_loops<Scalar>([&](auto loops) {
        loops.template candidates<true>(cols, query_data(r, work), cols, panel, work.lengths.data(), Scalar(1),
                                        static_cast<KeyIndex>(first_key), lists, factor());
        for (Index i = 0; i < rows; ++i) {
          Candidates<Scalar>& list = work.lists[static_cast<std::size_t>(r + i)];
          const Index found = lists[i].key - list.key;
          Index kept = too_long == 0 ? found : 0;
          for (Index j = kept; j < found; ++j) {
            const KeyIndex key = list.key[j];
            Scalar z = list.z[j];
            if ((too_long >> (key - first_key) & 1) != 0) {
              loops.products(keys_.row(key), cols, Index(1), cols, query_data(r + i, work), &z, factor());
              if (z <= list.floor) continue;
            }
            list.key[kept] = key;
            list.z[kept++] = z;
          }
          list.z += kept;
          list.key += kept;
        }
      });
    }
  }

  /// Raising a floor costs about what scoring this many keys does.
  static constexpr std::size_t most_scored_at_once = 32;

  /// Gives the screened candidates of a block their similarities. Of a long list first those whose bounds lie above the
  /// floor: their scores raise it by about the slack of the bounds, which rules out half of the others.
  void rescore(Index count, const Refine& refine, Workspace<Scalar>& work) const {
    const std::span<Row<Scalar>> rows(work.rows.data(), static_cast<std::size_t>(count));
    const Scalar infinity(Eigen::NumTraits<Scalar>::infinity());
    work.some.clear();
    work.floors.assign(rows.size(), Scalar(-infinity));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (rows[r].size() <= most_scored_at_once) continue;
      work.some.push_back(&rows[r]);
      work.floors[r] = rows[r].floor();
    }
    score_between(count, [&](std::size_t r) { return std::pair(work.floors[r], infinity); }, work);
    if (!work.some.empty()) {
      refine(work.some);
      score_between(count, [&](std::size_t r) { return std::pair(Scalar(-infinity), work.floors[r]); }, work);
    }
    for (Row<Scalar>& row : rows) row.set_margin(Scalar(0));
  }

  /// Gives those candidates of each row their similarities whose bounds are above the first of limits(row) and not above
  /// the second.
  template <class Limits>
  void score_between(Index count, const Limits& limits, Workspace<Scalar>& work) const {
    Index next = pick(0, limits, work);
    for (Index r = 0; r < count; ++r) {
      const Index picked = next;
      if (r + 1 < count) next = pick(r + 1, limits, work);
      Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
      with_loops<Scalar>([&](auto loops) {
        loops.scores(work.places[r % 2].data(), picked, row.key_data(), keys_.data, keys_.stride, keys_.cols,
                     query_data(r, work), row.value_data(), factor());
      });
    }
  }

  /// Writes down which candidates of row r lie between its limits, and prefetches the first of their keys; returns how
  /// many. Some of exact panels have their similarities, and are given the same once more.
  template <class Limits>
  Index pick(Index r, const Limits& limits, Workspace<Scalar>& work) const {
    Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
    const std::pair<Scalar, Scalar> limit = limits(static_cast<std::size_t>(r));
    LineVector<KeyIndex>& places = work.places[r % 2];
    if (places.size() < row.size() + pack_slack) places.resize(2 * (row.size() + pack_slack));
    const Index picked = with_loops<Scalar>([&](auto loops) {
      return loops.between(row.value_data(), static_cast<Index>(row.size()), limit.first, limit.second, places.data());
    });
    with_loops<Scalar>([&](auto loops) {
      constexpr Index some = 16;
      loops.fetch_rows(places.data(), (std::min)(some, picked), row.key_data(), keys_.data, keys_.stride, keys_.cols);
    });
    return picked;
  }

  /// Makes room for a panel's candidates in a list.
  void make_room(Index r, Workspace<Scalar>& work) const {
    const Candidates<Scalar>& list = work.lists[static_cast<std::size_t>(r)];
    if (list.key <= list.full) return;
    close_list(r, work);
    open_list(r, work);
  }

  /// Rows are written to through lists from now on, until close_lists.
  void open_lists(Index count, Workspace<Scalar>& work) const {
    for (Index r = 0; r < count; ++r) open_list(r, work);
  }
  void close_lists(Index count, Workspace<Scalar>& work) const {
    for (Index r = 0; r < count; ++r) close_list(r, work);
  }

  /// Lets the product loop write to a row, until close_list.
  void open_list(Index r, Workspace<Scalar>& work) const {
    Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
    Candidates<Scalar>& list = work.lists[static_cast<std::size_t>(r)];
    row.reserve(static_cast<std::size_t>(panel_keys));
    list.z = row.value_data() + row.size();
    list.key = row.key_data() + row.size();
    list.full = row.key_data() + row.capacity() - panel_keys;
    list.floor = row.floor();
    if constexpr (by_products && !is_product) list.shift = bound(r, work).constant;
  }

  void close_list(Index r, Workspace<Scalar>& work) const {
    Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
    row.resize(static_cast<std::size_t>(work.lists[static_cast<std::size_t>(r)].key - row.key_data()));
  }

  /// The range of keys that each query of the block sees, but for holes.
  KeyRange range_of_each(Index count, const Workspace<Scalar>& work) const {
    KeyRange each{0, HoledMask<M> ? 0 : keys_.rows};
    for (Index r = 0; r < count; ++r) {
      each.first = (std::max)(each.first, work.ranges[static_cast<std::size_t>(r)].first);
      each.last = (std::min)(each.last, work.ranges[static_cast<std::size_t>(r)].last);
    }
    return each;
  }

  /// Tells the lists which keys of a panel their queries see.
  void show_panel(Index first_query, Index count, Index first_key, const KeyRange& each, Workspace<Scalar>& work) const {
    const bool whole = each.first <= first_key && first_key + panel_keys <= each.last;
    if (whole && work.whole) return;
    work.whole = whole;
    for (Index r = 0; r < count; ++r) {
      work.lists[static_cast<std::size_t>(r)].visible =
          whole ? ~std::uint64_t(0) : visible_bits(first_query + r, in_panel(r, first_key, work), first_key);
    }
  }

  /// The part of a query's range that lies in a panel; may be empty.
  static KeyRange in_panel(Index r, Index first_key, const Workspace<Scalar>& work) {
    const KeyRange& range = work.ranges[static_cast<std::size_t>(r)];
    return KeyRange{(std::max)(range.first, first_key), (std::min)(range.last, first_key + panel_keys)};
  }

  /// Bit j: does a query see key j of a panel, given the part of it that is in the mask's range?
  std::uint64_t visible_bits([[maybe_unused]] Index query, const KeyRange& range, Index first_key) const {
    if (range.first >= range.last) return 0;
    const Index count = range.last - range.first;
    std::uint64_t bits = (~std::uint64_t(0) >> (panel_keys - count)) << (range.first - first_key);
    if constexpr (HoledMask<M>) {
      for (Index j = range.first; j < range.last; ++j) {
        if (!mask_.visible(query, j, extent())) bits &= ~(std::uint64_t(1) << (j - first_key));
      }
    }
    return bits;
  }

  auto bound(Index r, const Workspace<Scalar>& work) const {
    return similarity_.template product_bound<Scalar>(work.norms[static_cast<std::size_t>(r)], queries_.cols);
  }

  /// Adds the candidates that queries [r, r + rows) of the block find in one panel.
  void score_tile(Index first_query, Index r, Index rows, Index first_key, Workspace<Scalar>& work) const {
    if constexpr (lists_candidates) {
      if (scored_.in_panels()) return list_tile(first_query, r, rows, first_key, work);
    }
    bool any = false;
    for (Index i = 0; i < rows; ++i) {
      const KeyRange range = in_panel(r + i, first_key, work);
      any = any || range.first < range.last;
    }
    if (!any) return;
    if constexpr (by_products) {
      with_loops<Scalar>([&](auto loops) {
        if (scored_.in_panels()) {
          loops.score_panel(rows, queries_.cols, query_data(r, work), queries_.cols, scored_.panel(first_key), factor(),
                            work.tile.data(), panel_keys);
        } else {
          const Index count = (std::min)(panel_keys, keys_.rows - first_key);
          for (Index i = 0; i < rows; ++i) {
            loops.products(keys_.row(first_key), keys_.stride, count, keys_.cols, query_data(r + i, work),
                           work.tile.data() + i * panel_keys, factor());
          }
        }
      });
    }
    for (Index i = 0; i < rows; ++i) {
      const KeyRange range = in_panel(r + i, first_key, work);
      if (range.first < range.last) {
        score_row(first_query, r + i, range, first_key, work.tile.data() + i * panel_keys, work);
      }
    }
  }

  /// The same through the lists.
  void list_tile([[maybe_unused]] Index first_query, Index r, Index rows, Index first_key,
                 Workspace<Scalar>& work) const {
    // The product loop takes six: those without a query see nothing.
    Candidates<Scalar> lists[tile_queries];
    std::uint64_t any = 0;
    for (Index i = 0; i < rows; ++i) {
      make_room(r + i, work);
      lists[i] = work.lists[static_cast<std::size_t>(r + i)];
      any |= lists[i].visible;
    }
    if (any == 0) return;
    [[maybe_unused]] const KeyIndex* before[tile_queries] = {};
    if constexpr (!is_product) {
      for (Index i = 0; i < rows; ++i) before[i] = lists[i].key;
    }
    const Scalar slope = is_product ? Scalar(0) : bound(r, work).key_norm;
    with_loops<Scalar>([&](auto loops) {
      loops.template candidates<!is_product>(queries_.cols, query_data(r, work), queries_.cols, packed_panel(first_key, work),
                                             is_product ? nullptr : scored_.norms(first_key), slope,
                                             static_cast<KeyIndex>(first_key), lists, factor());
    });
    if constexpr (!is_product) {
      for (Index i = 0; i < rows; ++i) {
        Row<Scalar>& row = work.rows[static_cast<std::size_t>(r + i)];
        const auto kept = static_cast<std::ptrdiff_t>(
            rescored(first_query + r + i, row, static_cast<std::size_t>(before[i] - row.key_data()),
                     static_cast<std::size_t>(lists[i].key - row.key_data())));
        lists[i].key = row.key_data() + kept;
        lists[i].z = row.value_data() + kept;
      }
    }
    std::copy_n(lists, rows, work.lists.data() + r);
  }

  /// A panel as the product loop reads it.
  const Scalar* packed_panel(Index first_key, Workspace<Scalar>& work) const {
    if (scored_.packed()) return scored_.panel(first_key);
    work.panel.resize(static_cast<std::size_t>(panel_keys * keys_.cols));
    pack_panel(keys_, first_key, work.panel.data());
    return work.panel.data();
  }

  /// Adds the candidates of query r of the block among keys `range` of a panel; z holds the products
  /// with the panel.
  void score_row(Index first_query, Index r, const KeyRange& range, Index first_key, Scalar* z,
                 Workspace<Scalar>& work) const {
    const Index query = first_query + r;
    Row<Scalar>& row = work.rows[static_cast<std::size_t>(r)];
    row.reserve(static_cast<std::size_t>(panel_keys));
    const Scalar& floor = row.floor();
    if constexpr (by_products && !elementwise_mask) {
      const std::size_t before = row.size();
      const Index found = with_loops<Scalar>([&](auto loops) {
        if constexpr (!is_product) {
          const auto by = bound(r, work);
          loops.shift(z, scored_.norms(first_key), panel_keys, by.key_norm, by.constant);
        }
        return loops.filter(z + (range.first - first_key), range.last - range.first, floor,
                            static_cast<KeyIndex>(range.first), row.value_data() + before, row.key_data() + before);
      });
      std::size_t end = before + static_cast<std::size_t>(found);
      if constexpr (!is_product) end = rescored(query, row, before, end);
      row.resize(end);
    } else {
      for (Index j = range.first; j < range.last; ++j) {
        if (!is_visible(mask_, query, j, extent())) continue;
        Scalar score = exact(query, j, z[j - first_key]);
        if constexpr (BiasMask<M>) {
          const Scalar bias = Scalar(mask_.bias(query, j, extent()));
          // Hidden, also where the similarity is NaN.
          if (bias == -Scalar(Eigen::NumTraits<Scalar>::infinity())) continue;
          score += bias;
        }
        if (!(score <= floor)) row.push(static_cast<KeyIndex>(j), score);
      }
    }
  }

  /// The similarity of a pair, given its product where there is one.
  Scalar exact(Index query, Index key, [[maybe_unused]] const Scalar& product) const {
    if constexpr (by_products) {
      if constexpr (is_product) return product;
    }
    return similarity_.score(queries_.eigen_row(query), keys_.eigen_row(key));
  }

  /// Entries [begin, end) of a row are there by a bound: gives them their similarity and drops those
  /// that the floor rules out after all. Returns the new end.
  std::size_t rescored(Index query, Row<Scalar>& row, std::size_t begin, std::size_t end) const {
    std::size_t kept = begin;
    for (std::size_t j = begin; j < end; ++j) {
      const KeyIndex key = row.key_data()[j];
      const Scalar score = similarity_.score(queries_.eigen_row(query), keys_.eigen_row(key));
      if (score <= row.floor()) continue;
      row.key_data()[kept] = key;
      row.value_data()[kept++] = score;
    }
    return kept;
  }

  const Sim& similarity_;
  const M& mask_;
  View<Scalar> queries_;
  View<Scalar> keys_;
  const ScoredKeys<Scalar, Sim>& scored_;
  const KeySketch<Scalar>* sketch_ = nullptr;
  std::span<const KeyIndex> order_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
