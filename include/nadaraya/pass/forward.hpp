// The forward pass of one head, block by block: score, weigh, mix.
#pragma once

#include "nadaraya/pass/dense_mix.hpp"
#include "nadaraya/pass/head.hpp"
#include "nadaraya/pass/record.hpp"
#include "nadaraya/pass/rules.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::pass {

template <class Scalar, class S, class M>
class Forward {
 public:
  using Workspace = engine::Workspace<Scalar>;

  Forward(const Policies<ForwardRule<Scalar>, S, M>& policies, const Head<Scalar, S>& head)
      : rule_(*policies.rule),
        mask_(*policies.mask),
        head_(head),
        scores_(*policies.similarity, *policies.mask, head.query, head.key, *head.scored, head.order) {
    if (screening_of<Scalar>(policies) != Screening::never) scores_.screen();
  }

  /// Writes the rows of a block to `out`, the first row of the whole result, with rows out_stride
  /// apart, and fills `record` unless it is null.
  void regress(Index block, Workspace& work, Scalar* out, Index out_stride, Record<Scalar>* record) const {
    const QueryRange range = block_range(block, head_.query.rows);
    work.supports.resize(static_cast<std::size_t>(range.count));
    if (regress_dense(block, work, out, out_stride, record != nullptr)) {
      if (record != nullptr) record->assign(work, range.count, true);
      if (!bad_values().empty()) mix_rows_that_see_bad_values(block, work, out, out_stride);
      return;
    }
    DenseMix<Scalar> dense(head_.finite_value->view(), work);
    std::size_t r = 0;
    const RuleTraits& traits = rule_.traits();
    weigh_rows(range, work, [&](Index i, std::span<const KeyIndex> keys, RowView<Scalar> p) {
      if (record != nullptr) work.supports[r] = static_cast<KeyIndex>(supported(p));
      ++r;
      Scalar* out_i = out + i * out_stride;
      if (engine::vectorized<Scalar> && !traits.selects && dense.worthwhile(keys) &&
          !sees_any<Scalar>(mask_, i, bad_values(), head_.extent())) {
        dense.add(keys, p, out_i);
      } else {
        mix(keys, p, out_i);
      }
    });
    dense.flush();
    if (record == nullptr) return;
    record->assign(work, range.count, !traits.sparse || mostly_supported(range, work));
    if (head_.order.empty()) return;
    const auto queries = head_.order.subspan(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.count));
    record->queries.assign(queries.begin(), queries.end());
  }

  /// Score and weigh: visit(i, support, weights) for the queries of a block, in their order there.
  template <class Visit>
  void weigh(Index block, Workspace& work, const Visit& visit) const {
    scores_.score_block(block, refine_, work);
    weigh_rows(block_range(block, head_.query.rows), work, visit);
  }

 private:
  struct Refining {
    const ForwardRule<Scalar>& rule;
    void operator()(std::span<Row<Scalar>* const> rows) const { rule.refine(rows); }
  };

  /// Keys whose value holds NaN or infinity.
  const std::vector<Index>& bad_values() const { return head_.finite_value->replaced(); }

  template <class Visit>
  void weigh_rows(const QueryRange& range, Workspace& work, const Visit& visit) const {
    const auto count = static_cast<std::size_t>(range.count);
    work.maps.resize(count);
    rule_.solve({work.rows.data(), count}, work.maps);
    for (std::size_t r = 0; r < count; ++r) {
      Row<Scalar>& row = work.rows[r];
      const Index query = scores_.query(range.first + static_cast<Index>(r));
      const RowMap<Scalar>& map = work.maps[r];
      // Which keys a NaN left among the candidates depends on the order of tiles: take them all.
      if (detail::is_nan(map.mass)) all_visible(query, row);
      rule_.weigh(row, map, work.weights);
      visit(query, row.keys(), RowView<Scalar>(work.weights.data(), row.size()));
    }
  }

  /// Values without weight are not read.
  void mix(std::span<const KeyIndex> keys, RowView<Scalar> p, Scalar* out) const {
    engine::with_loops<Scalar>([&](auto loops) {
      loops.mix(keys.data(), p.data(), static_cast<Index>(keys.size()), head_.value.data, head_.value.stride,
                head_.value.cols, out);
    });
  }

  /// The dense product used 0 for non-finite values: recomputes, key by key, the rows that can see one.
  void mix_rows_that_see_bad_values(Index block, Workspace& work, Scalar* out, Index out_stride) const {
    weigh(block, work, [&](Index i, std::span<const KeyIndex> keys, RowView<Scalar> p) {
      if (sees_any<Scalar>(mask_, i, bad_values(), head_.extent())) mix(keys, p, out + i * out_stride);
    });
  }

  /// Writes the rows of a block without lists of their keys, where that is faster: under a rule that can be summed key by
  /// key, and where rows seem to keep nearly all their keys. If not, returns false, with the rows of the block scored.
  bool regress_dense(Index block, Workspace& work, Scalar* out, Index out_stride, bool recorded) const {
    const QueryRange range = block_range(block, head_.query.rows);
    if constexpr (Product<Scalar, S>) {
      if (head_.scored->in_panels() && rule_.traits().takes_vectors) {
        if (const OnlineRule<Scalar>* online = rule_.online()) {
          regress_online(*online, range, work, out, out_stride);
          return true;
        }
        if (scores_.score_sparse_block(block, refine_, work)) return false;
        regress_whole(range, work, out, out_stride, recorded);
        return true;
      }
    }
    scores_.score_block(block, refine_, work);
    return false;
  }

  /// Similarities held at once where rows are taken whole: half a mebibyte of floats.
  static constexpr Index whole_entries = Index(1) << 17;

  /// Scores, weighs and mixes some queries at a time, each with all keys of the block.
  void regress_whole(const QueryRange& range, Workspace& work, Scalar* out, Index out_stride, bool recorded) const {
    const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
    const View<Scalar>& value = head_.finite_value->view();
    const Index cols = value.cols;
    const KeyRange seen = scores_.begin_block(range.first, range.count, work);
    const Index first = engine::panel_begin(seen.first);
    const Index keys = seen.last - first;
    const Index ld = engine::panel_begin(keys + engine::panel_keys - 1) + 16;  // not a power of two apart, as below
    const Index tile = engine::tile_queries;
    const Index some = std::clamp(whole_entries / ld / tile * tile, tile, online_queries);
    work.dense.resize(static_cast<std::size_t>(some * ld));
    work.mixed.resize(static_cast<std::size_t>(some * cols));
    work.maps.resize(static_cast<std::size_t>(range.count));
    for (Index r = 0; r < range.count; r += some) {
      const Index count = (std::min)(some, range.count - r);
      scores_.products(r, count, first, seen.last, work, work.dense.data(), ld);
      for (Index i = 0; i < count; ++i) {
        const RowOut<Scalar> z(work.dense.data() + i * ld, static_cast<std::size_t>(keys));
        const auto at = static_cast<std::size_t>(r + i);
        add_bias(mask_, range.first + r + i, head_.extent(), first, seen.last, z.data());
        const Index visible = hide(mask_, range.first + r + i, head_.extent(), first, seen.last, none, z.data());
        if (visible > 0) {
          work.maps[at] = rule_.profiles(z);
        } else {
          work.maps[at].mass = Scalar(0);
          std::fill(z.begin(), z.end(), Scalar(0));
        }
        if (recorded) work.supports[at] = static_cast<KeyIndex>(rule_.traits().sparse ? supported(z) : visible);
      }
      engine::with_loops<Scalar>([&](auto loops) {
        loops.template multiply<false>(count, keys, cols, work.dense.data(), ld, Index(1), value.row(first), value.stride,
                                       work.mixed.data(), cols);
      });
      for (Index i = 0; i < count; ++i) finish(r + i, work.mixed.data() + i * cols, out + (range.first + r + i) * out_stride, work);
    }
  }

  /// Writes a row of the result, given its sum; a row without weights, whose mass is 0, is empty.
  void finish(Index r, const Scalar* sum, Scalar* out, Workspace& work) const {
    const Index cols = head_.value.cols;
    RowMap<Scalar>& map = work.maps[static_cast<std::size_t>(r)];
    if (map.mass == Scalar(0)) {
      std::fill(out, out + cols, Scalar(0));
      map = RowMap<Scalar>{};
      work.supports[static_cast<std::size_t>(r)] = 0;
    } else if (detail::is_nan(map.mass)) {
      std::fill(out, out + cols, map.mass);
      map = RowMap<Scalar>{map.mass, map.mass, map.mass, map.mass};
    } else {
      engine::with_loops<Scalar>([&](auto loops) { loops.divide(sum, cols, map.mass, out); });
    }
  }

  /// Keys and queries whose weights are in flight at once: 50 KiB of floats.
  static constexpr Index online_keys = 512;
  static constexpr Index online_queries = 24;

  /// How many keys have weight; under a dense rule all, though the smallest weights may underflow.
  Index supported(RowView<Scalar> p) const {
    if (!rule_.traits().sparse) return static_cast<Index>(p.size());
    Index count = 0;
    for (const Scalar& p_j : p) count += p_j == Scalar(0) ? 0 : 1;
    return count;
  }

  /// Is a list of the supported pairs longer, and slower to pull back through, than all visible pairs
  /// formed again?
  bool mostly_supported(const QueryRange& range, const Workspace& work) const {
    if (!Product<Scalar, S> || !rule_.traits().takes_vectors) return false;
    // Formed again, they would be summed in another order.
    if (work.screened) return false;
    std::size_t listed = 0;
    Index visible = 0;
    for (Index r = 0; r < range.count; ++r) {
      listed += work.rows[static_cast<std::size_t>(r)].size();
      const KeyRange keys = mask_.range(range.first + r, head_.extent());
      visible += keys.last - keys.first;
    }
    return listed >= 64 * static_cast<std::size_t>(range.count) && 2 * listed > static_cast<std::size_t>(visible);
  }

  /// Every visible key of a query, with NaN for its similarity.
  void all_visible(Index query, Row<Scalar>& row) const {
    row.clear();
    const Extent n = head_.extent();
    const KeyRange range = mask_.range(query, n);
    for (Index j = range.first; j < range.last; ++j) {
      if (is_visible(mask_, query, j, n) && !biased_away<Scalar>(mask_, query, j, n)) {
        row.push(static_cast<KeyIndex>(j), Scalar(std::numeric_limits<Scalar>::quiet_NaN()));
      }
    }
  }

  /// Scores, weighs and mixes a stretch of keys at a time; each row's sums are relative to the nearest
  /// key so far and are rescaled when a nearer one comes (Milakov and Gimelshein 2018, arXiv
  /// 1805.02867). No score of a row is held longer than its stretch.
  void regress_online(const OnlineRule<Scalar>& rule, const QueryRange& range, Workspace& work, Scalar* out,
                      Index out_stride) const {
    const View<Scalar>& value = head_.finite_value->view();
    const Index cols = value.cols;
    const Index ld = online_keys + 16;  // not a power of two apart: rows would share their cache sets
    work.dense.resize(static_cast<std::size_t>(online_queries * ld));
    work.mixed.assign(static_cast<std::size_t>(range.count * cols), Scalar(0));
    const KeyRange seen = scores_.begin_block(range.first, range.count, work);
    work.maps.assign(static_cast<std::size_t>(range.count), rule.start());
    work.supports.assign(static_cast<std::size_t>(range.count), 0);
    double masses[engine::block_queries] = {};
    for (Index first = engine::panel_begin(seen.first); first < seen.last; first += online_keys) {
      const Index last = (std::min)(first + online_keys, seen.last);
      for (Index r = 0; r < range.count; r += online_queries) {
        const Index count = (std::min)(online_queries, range.count - r);
        scores_.products(r, count, first, last, work, work.dense.data(), ld);
        bool any = false;
        for (Index i = 0; i < count; ++i) {
          any |= weigh_stretch(rule, range.first + r + i, r + i, first, last, work, work.dense.data() + i * ld, masses[r + i]);
        }
        if (!any) continue;
        engine::with_loops<Scalar>([&](auto loops) {
          loops.template multiply<true>(count, last - first, cols, work.dense.data(), ld, Index(1),
                                        value.row(first), value.stride, work.mixed.data() + r * cols, cols);
        });
      }
    }
    for (Index r = 0; r < range.count; ++r) {
      work.maps[static_cast<std::size_t>(r)].mass = static_cast<Scalar>(masses[r]);
      finish(r, work.mixed.data() + r * cols, out + (range.first + r) * out_stride, work);
    }
  }

  /// Turns the similarities z of a query with the keys [first, last) into weights, not yet divided, and adds them to the
  /// mass. Returns whether there is any.
  bool weigh_stretch(const OnlineRule<Scalar>& rule, Index query, Index r, Index first, Index last, Workspace& work,
                     Scalar* z, double& mass) const {
    const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
    RowMap<Scalar>& map = work.maps[static_cast<std::size_t>(r)];
    add_bias(mask_, query, head_.extent(), first, last, z);
    const Index visible = hide(mask_, query, head_.extent(), first, last, none, z);
    work.supports[static_cast<std::size_t>(r)] += static_cast<KeyIndex>(visible);
    const Index n = last - first;
    Scalar top = none;
    if (visible > 0) top = engine::with_loops<Scalar>([&](auto loops) { return loops.largest(z, n); });
    if (top == none) {
      // A maximum may miss NaN.
      const bool poisoned =
          visible > 0 && engine::with_loops<Scalar>([&](auto loops) { return loops.any_above(z, n, none); });
      if (poisoned) mass = std::numeric_limits<double>::quiet_NaN();
      std::fill(z, z + n, Scalar(0));
      return false;
    }
    if (map.pivot < top) {
      const Scalar rescale = rule.rescale(map, top);
      Scalar* sum = work.mixed.data() + r * head_.value.cols;
      engine::with_loops<Scalar>([&](auto loops) { loops.scale(sum, head_.value.cols, rescale, sum); });
      mass *= static_cast<double>(rescale);
      map.pivot = top;
    }
    mass += static_cast<double>(rule.profiles(map, z, n));
    return true;
  }

  const ForwardRule<Scalar>& rule_;
  const M& mask_;
  const Head<Scalar, S>& head_;
  engine::Scores<Scalar, S, M> scores_;
  Refining refine_{rule_};
};

}  // namespace nadaraya::pass

#include "nadaraya/detail/end_precise.hpp"
