// The queries of a block, prepared for scoring, and their products with panels of keys.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/read_rows.hpp"
#include "nadaraya/loops/chosen.hpp"

#include <algorithm>
#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Prepares `count` queries; returns the range that holds every key they see.
template <class Scalar>
KeyRange begin_block(const Head<Scalar>& head, Index first_query, Index count, BlockScratch<Scalar>& scratch) {
  const View<Scalar>& queries = head.query;
  scratch.tile.resize(static_cast<std::size_t>(tile_queries * panel_keys + Index(pack_slack)));
  if (head.by_products()) {
    scratch.norms.resize(static_cast<std::size_t>(count));
    // Contiguous, and followed by other queries or zeros for whole tiles: leftovers there may be denormal, which is slow.
    const Index read = (count + tile_queries - 1) / tile_queries * tile_queries;
    const bool as_they_lie = queries.stride == queries.cols && first_query + read <= queries.rows;
    scratch.query = queries.row(first_query);
    if (!as_they_lie) {
      scratch.queries.resize(static_cast<std::size_t>((count + tile_queries) * queries.cols));
      scratch.query = scratch.queries.data();
      std::fill_n(scratch.queries.data() + count * queries.cols, tile_queries * queries.cols, Scalar(0));
    }
    for (Index r = 0; r < count; ++r) {
      const Scalar* q = queries.row(first_query + r);
      if (!as_they_lie) std::copy_n(q, queries.cols, scratch.queries.data() + r * queries.cols);
      if (!head.is_product()) scratch.norms[static_cast<std::size_t>(r)] = bounding_norm(q, queries.cols);
    }
  }
  return range_of_all(head.mask(), first_query, count, head.extent());
}

/// Query r of a prepared block.
template <class Scalar>
const Scalar* query_data(const Head<Scalar>& head, Index r, const BlockScratch<Scalar>& scratch) {
  return scratch.query + r * head.query.cols;
}

/// The bound by a product that holds for query r of a prepared block.
template <class Scalar>
ProductBound<Scalar> bound_of(const Head<Scalar>& head, Index r, const BlockScratch<Scalar>& scratch) {
  return head.similarity().product_bound(scratch.norms[static_cast<std::size_t>(r)], head.query.cols);
}

/// The products of queries [r, r + count) of a prepared block with the packed keys [first, last), times the
/// similarity's factor: rows of z, `ld` apart, with room for whole panels. `first` begins a panel.
template <class Scalar>
void block_products(const Head<Scalar>& head, Index r, Index count, Index first, Index last, const BlockScratch<Scalar>& scratch,
                    Scalar* z, Index ld) {
  const Index cols = head.query.cols;
  const Scalar factor = head.factor;
  for (Index key = first; key < last; key += panel_keys) {
    loops<Scalar>().score_panel(count, cols, query_data(head, r, scratch), cols, head.keys->scored().panel(key), factor,
                                z + (key - first), ld);
  }
}

/// A panel as the product loop reads it.
template <class Scalar>
const Scalar* packed_panel(const Head<Scalar>& head, Index first_key, BlockScratch<Scalar>& scratch) {
  const ScoredKeys<Scalar>& scored = head.keys->scored();
  if (scored.packed()) return scored.panel(first_key);
  const View<Scalar>& keys = head.key();
  scratch.panel.resize(static_cast<std::size_t>(panel_keys * keys.cols));
  const Index count = (std::min)(panel_keys, keys.rows - first_key);
  pack_panel(key_rows(head, first_key, count, scratch), 0, scratch.panel.data());
  return scratch.panel.data();
}

/// The part of a query's range that lies in a panel; may be empty.
template <class Scalar>
KeyRange in_panel(Index r, Index first_key, const BlockScratch<Scalar>& scratch) {
  const KeyRange& range = scratch.ranges[static_cast<std::size_t>(r)];
  return KeyRange{(std::max)(range.first, first_key), (std::min)(range.last, first_key + panel_keys)};
}

/// Bit j: does a query see key j of a panel, given the part of it that is in the mask's range?
template <class Scalar>
std::uint64_t visible_bits(const Head<Scalar>& head, Index query, const KeyRange& range, Index first_key) {
  if (range.first >= range.last) return 0;
  const Index count = range.last - range.first;
  const std::uint64_t all = ~std::uint64_t(0) >> (panel_keys - count);
  const std::uint64_t visible =
      head.mask().traits().holed ? head.mask().visible(query, range.first, count, head.extent()) : all;
  return visible << (range.first - first_key);
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
