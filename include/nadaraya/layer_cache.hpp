// A key-value cache for all heads of a layer and a batch of sequences.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/key_value_cache.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/screening.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A key-value cache for the key heads of a layer and a batch of sequences of different lengths, as a decoder needs it:
///   LayerCache<float> cache(sequences, key_heads, key_cols, value_cols);
///   cache.append(k, v);              // [B x Hk x t x D] and [B x Hk x t x Dv]
///   attention(q, cache, out);        // the last query of a sequence is aligned with its last key
/// and with a different number of new tokens in each sequence, zero included, as in continuous batching,
///   const Packed step({0, 1, 6, 7});                          // tokens of three sequences in [1 x Hk x 7 x D]
///   cache.append(k, v, step);
///   attention(q, cache, out, step);
/// Stored is the scalar, or Eigen::bfloat16 or Eigen::half; see KeyValueCache.
/// Sequences are numbered from 0. All heads of a sequence have the same length. Cost and memory are those of a KeyValueCache
/// for each of them, which head() shows. Functions throw std::invalid_argument if a sequence does not exist or shapes do
/// not fit. After any exception the cache is unchanged. Moved from, it has no sequences.
template <class Stored, class S = DotProduct>
class LayerCache {
 public:
  using Head = KeyValueCache<Stored, S>;  ///< The cache of one key head of a sequence.

  /// Empty sequences. Throws std::invalid_argument if a size is negative or there is no key head.
  LayerCache(Index sequences, Index key_heads, Index key_cols, Index value_cols, Screening screening = Screening::automatic)
      : key_heads_(key_heads), empty_(key_cols, value_cols, screening) {
    detail::require(sequences >= 0 && key_heads >= 1,
                    "LayerCache: need at least one key head and no negative number of sequences, got ", key_heads, " and ",
                    sequences);
    heads_.assign(static_cast<std::size_t>(sequences * key_heads), empty_);
  }

  Index sequences() const { return static_cast<Index>(heads_.size()) / key_heads_; }  ///< How many sequences.
  Index key_heads() const { return key_heads_; }  ///< Hk
  Index key_cols() const { return empty_.key_cols(); }  ///< D
  Index value_cols() const { return empty_.value_cols(); }  ///< Dv

  /// How many tokens of a sequence are kept.
  Index length(Index sequence) const { return first_head(sequence, "length").rows(); }
  /// How many of its oldest tokens have been forgotten: with length(), the position of its next token.
  Index forgotten(Index sequence) const { return first_head(sequence, "forgotten").forgotten(); }

  /// The cache of a key head of a sequence; until the next call that changes this object.
  const Head& head(Index sequence, Index key_head) const {
    first_head(sequence, "head");
    detail::require(0 <= key_head && key_head < key_heads_, "LayerCache::head: there are ", key_heads_, " key heads, got ",
                    key_head);
    return heads_[at(sequence, key_head)];
  }
  /// Those of all, sequence by sequence.
  std::span<const Head> heads() const { return heads_; }

  /// Makes room for `rows` tokens in every sequence, or in one; see KeyValueCache::reserve.
  void reserve(Index rows) {
    for (Head& one : heads_) one.reserve(rows);
  }
  /// Makes room for `rows` tokens in one sequence.
  void reserve(Index sequence, Index rows) {
    first_head(sequence, "reserve");
    for (Index h = 0; h < key_heads_; ++h) heads_[at(sequence, h)].reserve(rows);
  }

  /// Appends copies of the keys [B x Hk x t x D] and values [B x Hk x t x Dv] of t tokens to each of B = sequences().
  /// They must not share memory with the cache.
  template <class Ke, class V>
  void append(const HeadView<Ke>& key, const HeadView<V>& value) {
    check_operands<Ke, V>(key, value);
    require_sequences(key.batch(), 1);
    append_tokens(0, 1, key, value, [&](Index) { return detail::TokenRange{0, key.tokens()}; });
  }

  /// Appends different numbers of tokens: those that are keys of sequence s of batch entry b to sequence b n + s, where n is
  /// the number of sequences of a batch entry. Those of `tokens` that are queries are for the call of Attention.
  template <class Ke, class V>
  void append(const HeadView<Ke>& key, const HeadView<V>& value, const Packed& tokens) {
    check_operands<Ke, V>(key, value);
    detail::AttentionShapes::validate_tokens(tokens, key.batch(), key.tokens(), tokens.key, tokens.key_lengths, "key",
                                             "LayerCache::append");
    const Index each = tokens.sequences();
    require_sequences(key.batch(), each);
    append_tokens(0, each, key, value, [&](Index i) { return detail::Offsets(tokens).keys_of(key.tokens(), i / each, i % each); });
  }

  /// Appends the keys [1 x Hk x t x D] and values [1 x Hk x t x Dv] of t tokens to one sequence.
  template <class Ke, class V>
  void append(Index sequence, const HeadView<Ke>& key, const HeadView<V>& value) {
    first_head(sequence, "append");
    check_operands<Ke, V>(key, value);
    detail::require(key.batch() == 1, "LayerCache::append: tokens of one sequence need a batch of 1, got ", key.batch());
    append_tokens(sequence, 1, key, value, [&](Index) { return detail::TokenRange{0, key.tokens()}; });
  }

  /// Removes all tokens of a sequence but the first `rows`, as where a draft is rejected.
  void truncate(Index sequence, Index rows) {
    const Index all = first_head(sequence, "truncate").rows();
    detail::require(0 <= rows && rows <= all, "LayerCache::truncate: rows must lie between 0 and ", all, ", got ", rows);
    for (Index h = 0; h < key_heads_; ++h) heads_[at(sequence, h)].truncate(rows);
  }

  /// Removes the first `count` tokens of a sequence, in O(1); see KeyValueCache::forget_oldest.
  void forget_oldest(Index sequence, Index count) {
    const Index all = first_head(sequence, "forget_oldest").rows();
    detail::require(0 <= count && count <= all, "LayerCache::forget_oldest: count must lie between 0 and the ", all,
                    " tokens, got ", count);
    for (Index h = 0; h < key_heads_; ++h) heads_[at(sequence, h)].forget_oldest(count);
  }

  /// Adds an empty sequence, or a copy of one, after the others; returns its number.
  Index add_sequence() { return add(std::vector<Head>(static_cast<std::size_t>(key_heads_), empty_)); }
  /// Adds a copy of a sequence after the others; returns its number.
  Index fork(Index sequence) {
    first_head(sequence, "fork");
    const auto first = heads_.begin() + static_cast<std::ptrdiff_t>(at(sequence, 0));
    return add(std::vector<Head>(first, first + key_heads_));
  }

  /// Removes a sequence; those after it move up by one.
  void remove_sequence(Index sequence) {
    first_head(sequence, "remove_sequence");
    const auto first = heads_.begin() + static_cast<std::ptrdiff_t>(at(sequence, 0));
    heads_.erase(first, first + key_heads_);
  }

 private:
  std::size_t at(Index sequence, Index key_head) const { return static_cast<std::size_t>(sequence * key_heads_ + key_head); }

  const Head& first_head(Index sequence, const char* function) const {
    detail::require(0 <= sequence && sequence < sequences(), "LayerCache::", function, ": there are ", sequences(),
                    " sequences, got number ", sequence);
    return heads_[at(sequence, 0)];
  }

  template <class Ke, class V>
  void check_operands(const HeadView<Ke>& key, const HeadView<V>& value) const {
    Head::template check_scalars<std::remove_const_t<Ke>, std::remove_const_t<V>>();
    const detail::HeadShape keys(key), values(value);
    detail::require(keys == detail::HeadShape(key.batch(), key_heads_, key.tokens(), key_cols()) &&
                        values == detail::HeadShape(key.batch(), key_heads_, key.tokens(), value_cols()),
                    "LayerCache::append: key and value must be [b x ", key_heads_, " x n x ", key_cols(), "] and [b x ",
                    key_heads_, " x n x ", value_cols(), "], got ", keys, " and ", values);
    const detail::Footprint key_memory = detail::head_footprint(key), value_memory = detail::head_footprint(value);
    for (const Head& one : heads_) {
      detail::require(!one.shares_memory(key_memory) && !one.shares_memory(value_memory),
                      "LayerCache::append: key and value must not share memory with the cache");
    }
  }

  void require_sequences(Index batch, Index each) const {
    detail::require(batch * each == sequences(), "LayerCache::append: there are tokens for ", batch, " x ", each,
                    " sequences, and the cache has ", sequences());
  }

  /// Appends to the sequences from `first` on, `each` of them for a batch entry, tokens part(i) to the i-th.
  template <class Ke, class V, class Part>
  void append_tokens(Index first, Index each, const HeadView<Ke>& key, const HeadView<V>& value, const Part& part) {
    const Index count = key.batch() * each;
    for (Index i = 0; i < count; ++i) {
      const Index rows = heads_[at(first + i, 0)].rows();
      detail::require(part(i).count <= Head::most_rows - rows, "LayerCache::append: ", rows, " and ", part(i).count,
                      " tokens are more than 2^31 - 1");
    }
    const Cleared<std::vector<typename Head::Appended>> cleared{appended_};
    appended_.reserve(static_cast<std::size_t>(count * key_heads_));
    for (Index i = 0; i < count; ++i) {
      const detail::TokenRange range = part(i);
      for (Index h = 0; h < key_heads_; ++h) {
        appended_.push_back(heads_[at(first + i, h)].prepare(
            Rows<std::remove_const_t<Ke>>(key.rows(i / each, h, range.first, range.count)),
            Rows<std::remove_const_t<V>>(value.rows(i / each, h, range.first, range.count))));
      }
    }
    for (std::size_t i = 0; i < appended_.size(); ++i) heads_[at(first, 0) + i].commit(appended_[i]);
  }

  /// Empties a list at the end of a call, and after an exception.
  template <class List>
  struct Cleared {
    List& list;
    ~Cleared() { list.clear(); }
  };

  Index add(std::vector<Head>&& sequence) {
    heads_.reserve(heads_.size() + sequence.size());
    heads_.insert(heads_.end(), std::move_iterator(sequence.begin()), std::move_iterator(sequence.end()));
    return sequences() - 1;
  }

  Index key_heads_;
  Head empty_;
  std::vector<Head> heads_;  ///< sequence by sequence
  std::vector<typename Head::Appended> appended_;  ///< during an append
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
