// A block of few queries, its keys in parts, on which several threads can work. Parts follow from the problem and not from
// the threads: results are the same for any number of them.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/candidates.hpp"
#include "nadaraya/engine/forward.hpp"
#include "nadaraya/engine/forward_streaming.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/key_part.hpp"
#include "nadaraya/engine/record.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The keys [first, last) in parts of `each`.
struct KeyParts {
  KeyRange keys;
  Index each = 0;
  Index count = 1;

  KeyRange part(Index i) const {
    const Index first = keys.first + i * each;
    return KeyRange{first, (std::min)(first + each, keys.last)};
  }
};

/// The queries of a block whose keys are worth parts: more make work enough for the threads.
inline constexpr Index most_queries_of_parts = 8;

/// The least number of keys of a part: what begins anew in each of them, as floors do, costs little then.
template <class Scalar>
Index least_keys_of_part(const Head<Scalar>& head) {
  if (streams_rows(head)) return streamed_keys;
  const bool screened = screening_of(head.policies) != Screening::never && head.keys->screened();
  return screened ? 2 * screened_chunk_keys : 2048;
}

/// The parts of the keys that heads with few queries see, read as they lie.
template <class Scalar>
KeyParts key_parts(std::span<const Head<Scalar>> heads) {
  constexpr Index most_parts = 32;
  const Head<Scalar>& head = heads.front();
  const Index queries = static_cast<Index>(heads.size()) * head.query.rows;
  if (queries < 1 || queries > most_queries_of_parts || !head.is_product() || head.keys->scored().in_panels()) return KeyParts{};
  KeyRange seen{head.key().rows, 0};
  for (const Head<Scalar>& each : heads) {
    const KeyRange range = range_of_all(each.mask(), 0, each.query.rows, each.extent());
    seen.first = (std::min)(seen.first, range.first);
    seen.last = (std::max)(seen.last, range.last);
  }
  const Index least = least_keys_of_part(head);
  // Parts end where chunks do whose centres are multiplied at once.
  const Index step = (std::min)(least, screened_chunk_keys);
  const Index first = seen.first / step * step;
  const Index parts = std::clamp<Index>((seen.last - first) / least, 1, most_parts);
  if (parts == 1) return KeyParts{};
  const Index each = ((seen.last - first + parts - 1) / parts + step - 1) / step * step;
  return KeyParts{KeyRange{first, seen.last}, each, (seen.last - first + each - 1) / each};
}

/// Appends the candidates of a row to another's.
template <class Scalar>
void append(CandidateRow<Scalar>& row, const CandidateRow<Scalar>& more) {
  row.reserve(more.size());
  std::copy_n(more.keys().data(), more.size(), row.key_data() + row.size());
  std::copy_n(more.values().data(), more.size(), row.value_data() + row.size());
  row.resize(row.size() + more.size());
  row.set_bound_slack((std::max)(row.bound_slack(), more.bound_slack()));
}

/// The candidates of a block among a part of the keys, with their similarities or bounds on them.
template <class Scalar>
void find_part(const Head<Scalar>& head, const KeyRange& keys, const Refine<Scalar>& refine, BlockScratch<Scalar>& scratch,
               KeyPart<Scalar>& part) {
  const QueryRange range{0, head.query.rows};
  clear_rows<Scalar>(range, refine, scratch);
  begin_block(head, range.first, range.count, scratch);
  const KeyRange each = begin_ranges(head, range, scratch);
  part.screened = screen_keys<Scalar>(head, range, keys, each, refine, scratch) == Screened::made;
  if (!part.screened) find_by_scan<Scalar>(head, range, keys, each, false, refine, scratch);
  const auto count = static_cast<std::size_t>(range.count);
  if (part.rows.size() < count) part.rows.resize(count);
  for (std::size_t r = 0; r < count; ++r) {
    part.rows[r].clear();
    append(part.rows[r], scratch.rows[r]);
  }
}

/// The candidates of a block from those in all parts, in the order of the keys.
template <class Scalar>
void merge_candidates(const Head<Scalar>& head, std::span<const KeyPart<Scalar>> parts, const Refine<Scalar>& refine,
                      BlockScratch<Scalar>& scratch) {
  const QueryRange range{0, head.query.rows};
  clear_rows<Scalar>(range, refine, scratch);
  begin_block(head, range.first, range.count, scratch);
  for (std::size_t r = 0; r < static_cast<std::size_t>(range.count); ++r) {
    for (const KeyPart<Scalar>& part : parts) append(scratch.rows[r], part.rows[r]);
  }
  refine(scratch.all);
  for (const KeyPart<Scalar>& part : parts) scratch.screened = scratch.screened || part.screened;
  if (scratch.screened) score_screened<Scalar>(head, range.count, refine, scratch);
}

/// Does a part of the work on a block; the last to be done writes the rows, as forward_block does, and returns true.
template <class Scalar>
bool forward_part(const Head<Scalar>& head, const KeyRange& keys, Index i, std::span<KeyPart<Scalar>> parts,
                  BlockScratch<Scalar>& scratch, MatrixMap<Scalar> out, Records<Scalar> records) {
  const QueryRange range{0, head.query.rows};
  KeyPart<Scalar>& part = parts[static_cast<std::size_t>(i)];
  const bool streamed = streams_rows(head);
  if (streamed) {
    stream_keys(head, range, keys, scratch, part.streamed);
  } else {
    find_part<Scalar>(head, keys, refining_by(head, scratch), scratch, part);
  }
  if (std::atomic_ref<Index>(parts.front().left).fetch_sub(1, std::memory_order_acq_rel) > 1) return false;
  scratch.supports.resize(static_cast<std::size_t>(range.count));
  if (streamed) {
    merge_streamed<Scalar>(head, range.count, parts, scratch.streamed);
    finish_streaming(range, out.cols(), scratch.streamed, scratch, out);
    finish_dense(head, Index(0), scratch, out, records);
  } else {
    merge_candidates<Scalar>(head, parts, refining_by(head, scratch), scratch);
    forward_sparse(head, range, scratch, out, records);
  }
  return true;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
