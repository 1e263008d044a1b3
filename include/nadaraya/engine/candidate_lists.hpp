// The rows of a block as the product loop writes to them: lists of candidates.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/query_block.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Lets loops write to a row, until end_append.
template <class Scalar>
void begin_append(const Head<Scalar>& head, Index r, BlockScratch<Scalar>& scratch) {
  CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
  Candidates<Scalar>& list = scratch.lists[static_cast<std::size_t>(r)];
  row.reserve(static_cast<std::size_t>(panel_keys));
  list.z = row.value_data() + row.size();
  list.key = row.key_data() + row.size();
  list.full = row.key_data() + row.capacity() - panel_keys;
  list.floor = row.floor();
  if (!head.is_product()) list.shift = bound_of(head, r, scratch).constant;
}

template <class Scalar>
void end_append(Index r, BlockScratch<Scalar>& scratch) {
  CandidateRow<Scalar>& row = scratch.rows[static_cast<std::size_t>(r)];
  row.resize(static_cast<std::size_t>(scratch.lists[static_cast<std::size_t>(r)].key - row.key_data()));
}

/// The same for all rows of a block.
template <class Scalar>
void begin_append_all(const Head<Scalar>& head, Index count, BlockScratch<Scalar>& scratch) {
  for (Index r = 0; r < count; ++r) begin_append(head, r, scratch);
}
template <class Scalar>
void end_append_all(Index count, BlockScratch<Scalar>& scratch) {
  for (Index r = 0; r < count; ++r) end_append(r, scratch);
}

/// Makes room for a panel's candidates in a list.
template <class Scalar>
void make_room(const Head<Scalar>& head, Index r, BlockScratch<Scalar>& scratch) {
  const Candidates<Scalar>& list = scratch.lists[static_cast<std::size_t>(r)];
  if (list.key <= list.full) return;
  end_append(r, scratch);
  begin_append(head, r, scratch);
}

/// The range of keys that each query of a block sees, without holes.
template <class Scalar>
KeyRange range_of_each(const Head<Scalar>& head, Index count, const BlockScratch<Scalar>& scratch) {
  KeyRange each{0, head.mask().traits().holed ? 0 : head.key().rows};
  for (Index r = 0; r < count; ++r) {
    each.first = (std::max)(each.first, scratch.ranges[static_cast<std::size_t>(r)].first);
    each.last = (std::min)(each.last, scratch.ranges[static_cast<std::size_t>(r)].last);
  }
  return each;
}

/// Tells the lists which keys of a panel their queries see.
template <class Scalar>
void show_panel(const Head<Scalar>& head, const QueryRange& range, Index first_key, const KeyRange& each,
                BlockScratch<Scalar>& scratch) {
  const bool whole = each.first <= first_key && first_key + panel_keys <= each.last;
  if (whole && scratch.whole) return;
  scratch.whole = whole;
  for (Index r = 0; r < range.count; ++r) {
    scratch.lists[static_cast<std::size_t>(r)].visible =
        whole ? ~std::uint64_t(0) : visible_bits(head, range.first + r, in_panel(r, first_key, scratch), first_key);
  }
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
