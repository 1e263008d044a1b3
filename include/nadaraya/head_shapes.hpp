// The shapes of batch x heads x tokens x dim, and sequences packed along the tokens.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/operator/operands.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Which tokens of a batch entry belong together. Variable-length sequences, packed along the tokens of each batch entry
/// (cu_seqlens elsewhere): sequence s has the queries [query[s], query[s + 1]) and the keys [key[s], key[s + 1]). Or padded
/// arrays: batch entry b is one sequence of its first query_lengths[b] queries and key_lengths[b] keys. A sequence sees
/// nothing else, and masks count from its own beginning and end. Outputs and gradients of padding are 0, whatever it holds.
struct Packed {
  std::vector<Index> query;  ///< Offsets of the queries: from 0, rising, to the number of query tokens; empty for padded arrays.
  std::vector<Index> key;  ///< Offsets of the keys, as many as of the queries.
  std::vector<Index> query_lengths;  ///< One for each batch entry; empty if all queries are real, or there are offsets.
  std::vector<Index> key_lengths;  ///< As query_lengths, of the keys.

  /// Offsets, checked by the call that uses them.
  Packed(std::vector<Index> query_offsets, std::vector<Index> key_offsets)
      : query(std::move(query_offsets)), key(std::move(key_offsets)) {}
  /// One list of offsets for queries and keys.
  explicit Packed(std::vector<Index> offsets) : query(offsets), key(std::move(offsets)) {}

  static Packed one(Index queries, Index keys) { return Packed({0, queries}, {0, keys}); }  ///< A single sequence.

  /// Padded at the end, with a length for each batch entry.
  static Packed padded(std::vector<Index> lengths) { return padded(lengths, lengths); }
  /// The same with lengths of queries and keys of their own.
  static Packed padded(std::vector<Index> query_lengths, std::vector<Index> key_lengths) {
    Packed sequences({}, {});
    sequences.query_lengths = std::move(query_lengths);
    sequences.key_lengths = std::move(key_lengths);
    return sequences;
  }
  /// Keys padded at the end, with a length for each batch entry; all queries are real.
  static Packed padded_keys(std::vector<Index> key_lengths) { return padded({}, std::move(key_lengths)); }

  /// How many sequences there are in each batch entry.
  Index sequences() const;
};

namespace detail {

/// Consecutive tokens of a batch entry.
struct TokenRange {
  Index first, count;
};

/// What Packed says, which it refers to.
struct Offsets {
  std::span<const Index> query, key, query_lengths, key_lengths;

  Offsets(std::span<const Index> queries, std::span<const Index> keys) : query(queries), key(keys) {}
  Offsets(const Packed& sequences)
      : query(sequences.query.data(), sequences.query.size()),
        key(sequences.key.data(), sequences.key.size()),
        query_lengths(sequences.query_lengths.data(), sequences.query_lengths.size()),
        key_lengths(sequences.key_lengths.data(), sequences.key_lengths.size()) {}

  bool is_padded() const { return !query_lengths.empty() || !key_lengths.empty(); }
  Index sequences() const {
    if (is_padded()) return 1;
    return query.empty() ? 0 : static_cast<Index>(query.size()) - 1;
  }

  /// The tokens of a sequence of a batch entry, of as many as there are.
  TokenRange queries_of(Index tokens, Index batch, Index sequence) const {
    return tokens_of(query, query_lengths, tokens, batch, sequence);
  }
  TokenRange keys_of(Index tokens, Index batch, Index sequence) const {
    return tokens_of(key, key_lengths, tokens, batch, sequence);
  }

 private:
  static TokenRange tokens_of(std::span<const Index> offsets, std::span<const Index> lengths, Index tokens, Index batch,
                              Index sequence) {
    if (!lengths.empty()) return {0, lengths[static_cast<std::size_t>(batch)]};
    if (offsets.empty()) return {0, tokens};
    const auto s = static_cast<std::size_t>(sequence);
    return {offsets[s], offsets[s + 1] - offsets[s]};
  }
};

/// Those of a call in which all queries and keys are one sequence.
class OneSequence {
 public:
  OneSequence(Index queries, Index keys) : query_{0, queries}, key_{0, keys} {}
  operator Offsets() const { return Offsets(query_, key_); }

 private:
  Index query_[2];
  Index key_[2];
};

/// Writes zeros to the padding of an array.
template <class T>
void clear_padding(const HeadView<T>& view, std::span<const Index> lengths) {
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    for (Index h = 0; h < view.heads(); ++h) {
      view.rows(static_cast<Index>(b), h, lengths[b], view.tokens() - lengths[b]).setZero();
    }
  }
}

struct HeadShape {
  Index batch = 0;
  Index heads = 0;
  Index tokens = 0;
  Index dim = 0;

  HeadShape() = default;
  HeadShape(Index batch_size, Index head_count, Index token_count, Index dimension)
      : batch(batch_size), heads(head_count), tokens(token_count), dim(dimension) {}
  template <class T>
  explicit HeadShape(const HeadView<T>& view) : HeadShape(view.batch(), view.heads(), view.tokens(), view.dim()) {}

  friend bool operator==(const HeadShape&, const HeadShape&) = default;
  /// "[batch x heads x tokens x dim]"
  operator MessagePart() const {
    return MessagePart({batch, heads, tokens, dim});
  }
};

template <class T>
Footprint head_footprint(const HeadView<T>& view) {
  const auto& strides = view.strides();
  return Footprint(view.data(), sizeof(T))
      .along(view.batch(), strides.batch)
      .along(view.heads(), strides.head)
      .along(view.tokens(), strides.token)
      .along(view.dim(), strides.dim);
}

/// An array that a call reads or writes.
struct NamedFootprint {
  Footprint footprint;
  const char* name;
  HeadShape shape;

  NamedFootprint(const char* of, const Footprint& print, const HeadShape& of_shape)
      : footprint(print), name(of), shape(of_shape) {}
  template <class T>
  NamedFootprint(const char* of, const HeadView<T>& view) : NamedFootprint(of, head_footprint(view), HeadShape(view)) {}
};

// Checks are templates, of the character of a function's name, so that including this header compiles no messages.

/// Throws if an output shares memory with any of the others, or two of its elements lie in one place.
template <class Character>
void require_apart(const NamedFootprint& out, std::initializer_list<NamedFootprint> others, const Character* function) {
  require(!out.footprint.collides(), function, ": ", out.name, ' ', out.shape, " must not have two elements in one place");
  for (const NamedFootprint& other : others) {
    require(!Footprint::share(out.footprint, other.footprint), function, ": ", out.name, ' ', out.shape,
            " must not share memory with ", other.name, ' ', other.shape);
  }
}

/// The operands of one call.
struct AttentionShapes {
  HeadShape query, key, value;

  HeadShape out() const { return HeadShape(query.batch, query.heads, query.tokens, value.dim); }

  template <class Character>
  void validate(const Offsets& sequences, const HeadShape& out_shape, const Character* function) const {
    require(query.batch == key.batch && query.dim == key.dim, function,
            ": query and key must have the same batch and dim, got ", query, " and ", key);
    require(key.heads == 0 ? query.heads == 0 : query.heads % key.heads == 0, function,
            ": the heads of key must divide those of query, got ", query, " and ", key);
    require(value.batch == key.batch && value.heads == key.heads && value.tokens == key.tokens, function,
            ": key and value must have the same batch, heads and tokens, got ", key, " and ", value);
    require(out_shape == out(), function, ": out must be ", out(), ", got ", out_shape);
    validate_sequences(sequences, query, key.tokens, function);
  }

  /// Throws if sequences do not fit queries of a shape and keys of a number of tokens.
  template <class Character>
  static void validate_sequences(const Offsets& sequences, const HeadShape& query, Index keys, const Character* function) {
    validate_tokens(sequences, query.batch, query.tokens, sequences.query, sequences.query_lengths, "query", function);
    validate_tokens(sequences, query.batch, keys, sequences.key, sequences.key_lengths, "key", function);
    require(sequences.query.size() == sequences.key.size(), function, ": there are offsets of ",
            sequences.query.size() - 1, " sequences of queries and of ", sequences.key.size() - 1, " of keys");
    for (Index s = 0; s < sequences.sequences(); ++s) {
      for (Index b = 0; b < (sequences.is_padded() ? query.batch : Index(1)); ++b) {
        require_countable(sequences.queries_of(query.tokens, b, s).count, "a sequence of query", function);
        require_countable(sequences.keys_of(keys, b, s).count, "a sequence of key", function);
      }
    }
  }

  /// Throws if the offsets or lengths of `of`, queries or keys, do not fit a number of tokens.
  template <class Character>
  static void validate_tokens(const Offsets& sequences, Index batch, Index tokens, std::span<const Index> offsets,
                              std::span<const Index> lengths, const Character* of, const Character* function) {
    if (!sequences.is_padded()) {
      require(!offsets.empty() && offsets.front() == 0 && offsets.back() == tokens &&
                  std::is_sorted(offsets.begin(), offsets.end()),
              function, ": the offsets of ", of, " must rise from 0 to its ", tokens, " tokens");
      return;
    }
    require(offsets.empty(), function, ": sequences have either offsets or lengths, got both of ", of);
    require(lengths.empty() || static_cast<Index>(lengths.size()) == batch, function, ": need a length of ", of,
            " for each of ", batch, " batch entries, got ", lengths.size());
    for (const Index length : lengths) {
      require(0 <= length && length <= tokens, function, ": a length of ", of, " must lie between 0 and its ", tokens,
              " tokens, got ", length);
    }
  }
};

}  // namespace detail

inline Index Packed::sequences() const { return detail::Offsets(*this).sequences(); }

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
