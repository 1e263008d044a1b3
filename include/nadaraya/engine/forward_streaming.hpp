// The forward pass under a rule that can be summed key by key: weights are relative to the largest similarity so far, and
// sums are rescaled when a larger one comes (Milakov and Gimelshein 2018, arXiv 1805.02867).
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/forward_dense.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/key_part.hpp"
#include "nadaraya/engine/query_block.hpp"
#include "nadaraya/engine/read_rows.hpp"
#include "nadaraya/loops/chosen.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Keys and queries whose weights are in flight at once: 50 KiB of floats.
inline constexpr Index streamed_keys = 512;
inline constexpr Index streamed_queries = 24;

/// Values that pass from the first-level cache over all queries: 16 KiB of floats at D = 128.
inline constexpr Index values_at_once = 32;

/// Sums of no key yet.
template <class Scalar>
void begin_streaming(const Head<Scalar>& head, Index count, StreamedRows<Scalar>& sums) {
  const auto rows = static_cast<std::size_t>(count);
  sums.mixed.assign(rows * static_cast<std::size_t>(head.value().cols), Scalar(0));
  sums.maps.resize(rows);
  for (Index r = 0; r < count; ++r) sums.maps[static_cast<std::size_t>(r)] = head.rule_of(r).start();
  sums.masses.assign(rows, 0.0);
  sums.supports.assign(rows, 0);
}

/// Turns the similarities z of query r of a block with the keys [first, last) into weights, not yet divided, and adds them
/// to the mass. Returns whether there is any.
template <class Scalar>
bool weigh_chunk(const Head<Scalar>& head, Index query, Index r, Index first, Index last, Scalar* z, StreamedRows<Scalar>& sums) {
  const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
  const auto at = static_cast<std::size_t>(r);
  const RowRule<Scalar>& rule = head.rule_of(query);
  RowNormalizer<Scalar>& map = sums.maps[at];
  add_bias(head.mask(), query, head.extent(), first, last, z);
  const Index visible = hide(head.mask(), query, head.extent(), first, last, none, z);
  sums.supports[at] += static_cast<KeyIndex>(visible);
  const Index n = last - first;
  Scalar top = none;
  if (visible > 0) top = loops<Scalar>().largest(z, n);
  if (top == none) {
    // A maximum may miss NaN.
    const bool has_nan = visible > 0 && loops<Scalar>().any_above(z, n, none);
    if (has_nan) sums.masses[at] = std::numeric_limits<double>::quiet_NaN();
    std::fill(z, z + n, Scalar(0));
    return false;
  }
  if (map.pivot < top) {
    const Scalar rescale = rule.rescale(map, top);
    const Index cols = head.value().cols;
    Scalar* sum = sums.mixed.data() + r * cols;
    loops<Scalar>().scale(sum, cols, rescale, sum);
    sums.masses[at] *= static_cast<double>(rescale);
    map.pivot = top;
  }
  sums.masses[at] += static_cast<double>(rule.online_profiles(map, z, n));
  return true;
}

/// Writes the rows of the queries of a block, given the sums over all their keys.
template <class Scalar>
void finish_streaming(const QueryRange& range, Index cols, const StreamedRows<Scalar>& sums, BlockScratch<Scalar>& scratch,
                      MatrixMap<Scalar>& out) {
  scratch.maps = sums.maps;
  scratch.supports = sums.supports;
  for (Index r = 0; r < range.count; ++r) {
    scratch.maps[static_cast<std::size_t>(r)].mass = static_cast<Scalar>(sums.masses[static_cast<std::size_t>(r)]);
    finish_row(r, sums.mixed.data() + r * cols, cols, out.data() + (range.first + r) * out.outerStride(), scratch);
  }
}

/// The regression of a block, a chunk of keys at a time, from keys in panels. No score of a row is held longer than its chunk.
template <class Scalar>
void forward_streaming(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch, MatrixMap<Scalar>& out) {
  const Index cols = head.value().cols;
  const Index ld = streamed_keys + 16;  // not a power of two apart: rows would share their cache sets
  scratch.dense.resize(static_cast<std::size_t>(streamed_queries * ld));
  const KeyRange seen = begin_block(head, range.first, range.count, scratch);
  StreamedRows<Scalar>& sums = scratch.streamed;
  begin_streaming(head, range.count, sums);
  for (Index first = panel_begin(seen.first); first < seen.last; first += streamed_keys) {
    const Index last = (std::min)(first + streamed_keys, seen.last);
    for (Index r = 0; r < range.count; r += streamed_queries) {
      const Index count = (std::min)(streamed_queries, range.count - r);
      block_products(head, r, count, first, last, scratch, scratch.dense.data(), ld);
      bool any = false;
      for (Index i = 0; i < count; ++i) {
        any |= weigh_chunk(head, range.first + r + i, r + i, first, last, scratch.dense.data() + i * ld, sums);
      }
      if (!any) continue;
      add_weighted_values(head, count, scratch.dense.data(), ld, first, last - first, sums.mixed.data() + r * cols, cols, scratch);
    }
  }
  finish_streaming(range, cols, sums, scratch, out);
}

/// Is a head streamed from keys as they lie?
template <class Scalar>
bool streams_rows(const Head<Scalar>& head) {
  return head.is_product() && !head.keys->scored().in_panels() && !head.policies.lists_keys() && head.rule().traits().online;
}

/// The sums of a block over the keys of a range that its queries see, `streamed_keys` of them at a time.
template <class Scalar>
void stream_keys(const Head<Scalar>& head, const QueryRange& range, const KeyRange& keys, BlockScratch<Scalar>& scratch,
                 StreamedRows<Scalar>& sums) {
  if (head.stream_stored != nullptr) return head.stream_stored(head, range, keys, scratch, sums);
  const Index cols = head.value().cols;
  const Index ld = streamed_keys + 16;  // not a power of two apart: rows would share their cache sets
  scratch.dense.resize(static_cast<std::size_t>(range.count * ld));
  const KeyRange seen = begin_block(head, range.first, range.count, scratch);
  begin_streaming(head, range.count, sums);
  Scalar* const z = scratch.dense.data();
  const Index end = (std::min)(keys.last, seen.last);
  for (Index first = (std::max)(keys.first, seen.first); first < end; first += streamed_keys) {
    const Index last = (std::min)(first + streamed_keys, end);
    const Index some = keys_at_once(head, last - first);
    for (Index key = first; key < last; key += some) {
      const View<Scalar> rows = key_rows(head, key, (std::min)(some, last - key), scratch);
      loops<Scalar>().products_of_rows(rows.data, rows.stride, rows.rows, rows.cols, scratch.query, head.query.cols, range.count,
                                       z + (key - first), ld, head.factor);
    }
    bool any = false;
    for (Index r = 0; r < range.count; ++r) any |= weigh_chunk(head, range.first + r, r, first, last, z + r * ld, sums);
    if (!any) continue;
    for (Index key = first; key < last; key += values_at_once) {
      const View<Scalar> value = finite_value_rows(head, key, (std::min)(values_at_once, last - key), scratch);
      loops<Scalar>().add_product(range.count, value.rows, cols, z + (key - first), ld, Index(1), value.data, value.stride,
                                  sums.mixed.data(), cols);
    }
  }
}

/// Adds up the sums of parts of the keys, in their order, relative to the largest pivot of all.
template <class Scalar>
void merge_streamed(const Head<Scalar>& head, Index count, std::span<const KeyPart<Scalar>> parts, StreamedRows<Scalar>& sums) {
  const Index cols = head.value().cols;
  begin_streaming(head, count, sums);
  for (Index row = 0; row < count; ++row) {
    const auto r = static_cast<std::size_t>(row);
    RowNormalizer<Scalar>& map = sums.maps[r];
    for (const KeyPart<Scalar>& part : parts) {
      if (map.pivot < part.streamed.maps[r].pivot) map.pivot = part.streamed.maps[r].pivot;
    }
    for (const KeyPart<Scalar>& part : parts) {
      const StreamedRows<Scalar>& some = part.streamed;
      sums.supports[r] += some.supports[r];
      if (some.masses[r] == 0) continue;
      Scalar factor(1);
      if (some.maps[r].pivot < map.pivot) factor = head.rule_of(row).rescale(some.maps[r], map.pivot);
      sums.masses[r] += static_cast<double>(factor) * some.masses[r];
      loops<Scalar>().add_product(1, 1, cols, &factor, Index(1), Index(1), some.mixed.data() + row * cols, cols,
                                  sums.mixed.data() + row * cols, cols);
    }
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
