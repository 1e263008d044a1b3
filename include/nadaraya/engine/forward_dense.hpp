// The forward pass of a block whose rows keep all, or nearly all, of their keys: as products of matrices.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/query_block.hpp"
#include "nadaraya/engine/read_rows.hpp"
#include "nadaraya/loops/chosen.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Similarities held at once where rows are taken whole: half a mebibyte of floats.
inline constexpr Index whole_entries = Index(1) << 17;

/// Queries that are taken whole at once, at most.
inline constexpr Index most_whole_queries = 24;

/// How many keys have weight; under a dense rule all, though the smallest weights may underflow.
template <class Scalar>
Index support_size(const Head<Scalar>& head, RowView<Scalar> p) {
  if (!head.rule().traits().sparse) return static_cast<Index>(p.size());
  Index count = 0;
  for (const Scalar& p_j : p) count += p_j == Scalar(0) ? 0 : 1;
  return count;
}

/// Writes a row of the result, given its sum; a row without weights, whose mass is 0, is empty.
template <class Scalar>
void finish_row(Index r, const Scalar* sum, Index cols, Scalar* out, BlockScratch<Scalar>& scratch) {
  RowNormalizer<Scalar>& map = scratch.maps[static_cast<std::size_t>(r)];
  if (map.mass == Scalar(0)) {
    std::fill(out, out + cols, Scalar(0));
    map = RowNormalizer<Scalar>{};
    scratch.supports[static_cast<std::size_t>(r)] = 0;
  } else if (detail::is_nan(map.mass)) {
    std::fill(out, out + cols, map.mass);
    map = RowNormalizer<Scalar>{map.mass, map.mass, map.mass, map.mass};
  } else {
    loops<Scalar>().divide(sum, cols, map.mass, out);
  }
}

/// Scores, weighs and mixes some queries at a time, each with all keys of the block.
template <class Scalar>
void forward_dense(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch, MatrixMap<Scalar>& out,
                   bool recorded) {
  const Scalar none = -Scalar(Eigen::NumTraits<Scalar>::infinity());
  const Index cols = head.value().cols;
  const KeyRange seen = begin_block(head, range.first, range.count, scratch);
  const Index first = panel_begin(seen.first);
  const Index keys = seen.last - first;
  const Index ld = panel_begin(keys + panel_keys - 1) + 16;  // not a power of two apart: rows would share their cache sets
  const Index some = std::clamp(whole_entries / ld / tile_queries * tile_queries, tile_queries, most_whole_queries);
  scratch.dense.resize(static_cast<std::size_t>(some * ld));
  scratch.mixed.resize(static_cast<std::size_t>(some * cols));
  scratch.maps.resize(static_cast<std::size_t>(range.count));
  for (Index r = 0; r < range.count; r += some) {
    const Index count = (std::min)(some, range.count - r);
    block_products(head, r, count, first, seen.last, scratch, scratch.dense.data(), ld);
    for (Index i = 0; i < count; ++i) {
      const RowOut<Scalar> z(scratch.dense.data() + i * ld, static_cast<std::size_t>(keys));
      const auto at = static_cast<std::size_t>(r + i);
      const Index query = range.first + r + i;
      add_bias(head.mask(), query, head.extent(), first, seen.last, z.data());
      const Index visible = hide(head.mask(), query, head.extent(), first, seen.last, none, z.data());
      if (visible > 0) {
        scratch.maps[at] = head.rule().profiles(z);
      } else {
        scratch.maps[at].mass = Scalar(0);
        std::fill(z.begin(), z.end(), Scalar(0));
      }
      if (recorded) {
        scratch.supports[at] = static_cast<KeyIndex>(head.rule().traits().sparse ? support_size<Scalar>(head, z) : visible);
      }
    }
    weigh_values(head, count, scratch.dense.data(), ld, first, keys, scratch.mixed.data(), cols, scratch);
    for (Index i = 0; i < count; ++i) {
      finish_row(r + i, scratch.mixed.data() + i * cols, cols, out.data() + (range.first + r + i) * out.outerStride(), scratch);
    }
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
