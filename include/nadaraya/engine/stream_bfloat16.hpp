// Streaming softmax of bfloat16 by tiles (AMX-BF16). Products of queries and keys are exact and added up in float. So
// are those of weights and values, but for 2^-17 of a weight. With numbers and products below 2^-126, which count as
// zero, and the order of sums, that is all in which results differ from those of forward_streaming.hpp.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/forward_streaming.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/key_part.hpp"
#include "nadaraya/engine/query_block.hpp"
#include "nadaraya/loops/bfloat16_tiles.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "nadaraya/detail/precise.hpp"

#if NADARAYA_HAS_AMX

namespace nadaraya::engine {

/// Queries and keys whose scores are in flight at once: 34 KiB, so that they stay in a first-level cache.
inline constexpr Index bfloat16_queries = 2 * bfloat16_tiles::tile_rows;
inline constexpr Index bfloat16_keys = 256;

/// The queries of a block, and the keys and values of a chunk, as tiles take them, in the scratch memory.
class Bfloat16Operands {
 public:
  Bfloat16Operands(const Head<float>& head, Index count, BlockScratch<float>& scratch)
      : key_(head.keys->stored_key()),
        value_(head.keys->stored_value()),
        nonfinite_(head.nonfinite_values()),
        steps_(steps_of(key_.view().cols)),
        value_words_(steps_of(value_.view().cols) * tile_numbers) {
    const Index rows = (count + bfloat16_queries - 1) / bfloat16_queries * bfloat16_queries,
                stride = steps_ * tile_numbers;
    scratch.narrow.assign(static_cast<std::size_t>(rows * stride), std::uint16_t(0));
    queries_ = scratch.narrow.data();
    for (Index r = 0; r < count; ++r) {
      const float* const query = query_data(head, r, scratch);
      for (Index d = 0; d < head.query.cols; ++d) queries_[r * stride + d] = upper_half(query[d]);
    }
    const Index keys = bfloat16_keys * key_words(), values = bfloat16_keys / 2 * value_words_;
    scratch.words.resize(static_cast<std::size_t>(keys + values + bfloat16_queries * tile_numbers));
    keys_ = scratch.words.data();
    values_ = keys_ + keys;
    sums_ = values_ + values;
  }

  /// Reads the keys and values [first, first + count), at most bfloat16_keys.
  void read(Index first, Index count) {
    for (Index j = 0; j < count; j += panel_keys) {
      bfloat16_tiles::transpose({key_.narrow_row(first + j), key_.view().stride}, count - j, key_.view().cols,
                                keys_ + j * key_words(), key_words());
    }
    bfloat16_tiles::interleave({value_.narrow_row(first), value_.view().stride}, count, value_.view().cols, values_,
                               value_words_);
    clear_nonfinite(first, first + count);
    count_ = count;
  }

  /// The products of the queries from r on, of one tile or of two, with these keys.
  void score(Index r, bool two, float* z, Index ld) const {
    const Index stride = steps_ * tile_numbers;
    for (Index j = 0; j < count_; j += tile_numbers) {
      const float* const words = keys_ + j / panel_keys * panel_keys * key_words() + j % panel_keys;
      bfloat16_tiles::score(two, {queries_ + r * stride, stride}, {words, panel_keys}, steps_, {z + j, ld});
    }
  }

  /// Adds the values, weighted by p, to the sums of some queries. Overwrites p, the rows of one tile or of two.
  void add_values(float* p, Index ld, bool two, Index queries, float* mixed) {
    const Index cols = value_.view().cols;
    bfloat16_tiles::split({p, ld}, queries, count_);
    for (Index c = 0; c < value_words_; c += tile_numbers) {
      bfloat16_tiles::weigh(two, {p, ld}, steps_of(count_), {values_ + c, value_words_}, {sums_, tile_numbers});
      bfloat16_tiles::add_rows({sums_, tile_numbers}, queries, cols - c, {mixed + c, cols});
    }
  }

 private:
  static constexpr Index tile_rows = bfloat16_tiles::tile_rows, tile_words = bfloat16_tiles::tile_words,
                         tile_numbers = bfloat16_tiles::tile_numbers;

  /// How many times 32 numbers, the last time filled up.
  static Index steps_of(Index numbers) { return (numbers + tile_numbers - 1) / tile_numbers; }
  Index key_words() const { return steps_ * tile_words; }
  static std::uint16_t upper_half(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return static_cast<std::uint16_t>(bits >> 16);
  }

  /// Zeros for NaN and infinity among the values of the chunk [first, last).
  void clear_nonfinite(Index first, Index last) {
    for (auto key = std::lower_bound(nonfinite_.begin(), nonfinite_.end(), first);
         key != nonfinite_.end() && *key < last; ++key) {
      const Index at = *key - first;
      float* const row = values_ + (at / tile_numbers * tile_rows + at % tile_rows) * value_words_;
      const std::uint32_t half = at % tile_numbers < tile_rows ? 0x0000ffffu : 0xffff0000u,
                          exponent = 0x7f807f80u & half;
      for (Index c = 0; c < value_words_; ++c) {
        std::uint32_t word;
        std::memcpy(&word, row + c, sizeof word);
        if ((word & exponent) == exponent) word &= ~half;
        std::memcpy(row + c, &word, sizeof word);
      }
    }
  }

  StoredRows<float> key_;
  StoredRows<float> value_;
  const std::vector<Index>& nonfinite_;  ///< keys whose values hold NaN or infinity
  Index steps_;                          ///< over the components of a key
  Index value_words_;                    ///< the columns, padded
  std::uint16_t* queries_;
  float* keys_;
  float* values_;
  float* sums_;
  Index count_ = 0;  ///< of the keys and values
};

/// stream_keys for queries, keys and values that are all bfloat16.
inline void stream_bfloat16(const Head<float>& head, const QueryRange& range, const KeyRange& keys,
                            BlockScratch<float>& scratch, StreamedRows<float>& sums) {
  constexpr Index ld = bfloat16_keys + 16;  // not a power of two apart: rows would share their cache sets
  const Index cols = head.value().cols;
  const KeyRange seen = begin_block(head, range.first, range.count, scratch);
  begin_streaming(head, range.count, sums);
  const Index end = (std::min)(keys.last, seen.last);
  Index first = (std::max)(keys.first, seen.first);
  if (first >= end) return;
  scratch.dense.resize(static_cast<std::size_t>(bfloat16_queries * ld));
  float* const z = scratch.dense.data();
  const bfloat16_tiles::Configuration configuration(range.count);
  Bfloat16Operands operands(head, range.count, scratch);
  for (; first < end; first += bfloat16_keys) {
    const Index last = (std::min)(first + bfloat16_keys, end);
    operands.read(first, last - first);
    for (Index r = 0; r < range.count; r += bfloat16_queries) {
      const Index count = (std::min)(bfloat16_queries, range.count - r);
      const bool two = count > bfloat16_tiles::tile_rows;
      operands.score(r, two, z, ld);
      bool any = false;
      for (Index i = 0; i < count; ++i) {
        float* const row = z + i * ld;
        loops<float>().scale(row, last - first, head.factor, row);
        any |= weigh_chunk(head, range.first + r + i, r + i, first, last, row, sums);
      }
      if (any) operands.add_values(z, ld, two, count, sums.mixed.data() + r * cols);
    }
  }
}

}  // namespace nadaraya::engine

#endif

#include "nadaraya/detail/end_precise.hpp"
