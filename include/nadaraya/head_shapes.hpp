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

/// Variable-length sequences, packed along the tokens of each batch entry: sequence s has the
/// queries [query[s], query[s + 1]) and the keys [key[s], key[s + 1]), and sees nothing else. Masks
/// count from its own beginning.
struct Packed {
  std::vector<Index> query;  ///< Offsets of the queries: from 0, rising, to the number of query tokens.
  std::vector<Index> key;  ///< Offsets of the keys, as many as of the queries.

  /// Offsets, checked by the call that uses them.
  Packed(std::vector<Index> query_offsets, std::vector<Index> key_offsets)
      : query(std::move(query_offsets)), key(std::move(key_offsets)) {}
  /// One list of offsets for queries and keys.
  explicit Packed(std::vector<Index> offsets) : query(offsets), key(std::move(offsets)) {}

  static Packed one(Index queries, Index keys) { return Packed({0, queries}, {0, keys}); }  ///< A single sequence.

  /// How many sequences there are.
  Index sequences() const { return query.empty() ? 0 : static_cast<Index>(query.size()) - 1; }
};

namespace detail {

/// The offsets of packed sequences, which they refer to.
struct Offsets {
  std::span<const Index> query;
  std::span<const Index> key;

  Offsets(std::span<const Index> queries, std::span<const Index> keys) : query(queries), key(keys) {}
  Offsets(const Packed& sequences) : query(sequences.query), key(sequences.key) {}

  Index sequences() const { return query.empty() ? 0 : static_cast<Index>(query.size()) - 1; }
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
    return '[' + std::to_string(batch) + " x " + std::to_string(heads) + " x " + std::to_string(tokens) + " x " +
           std::to_string(dim) + ']';
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

/// Throws if an output shares memory with any of the others, or two of its elements lie in one place.
inline void require_apart(const NamedFootprint& out, std::initializer_list<NamedFootprint> others, const char* function) {
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

  void validate(const Offsets& sequences, const HeadShape& out_shape, const char* function) const {
    require(query.batch == key.batch && query.dim == key.dim, function,
            ": query and key must have the same batch and dim, got ", query, " and ", key);
    require(key.heads == 0 ? query.heads == 0 : query.heads % key.heads == 0, function,
            ": the heads of key must divide those of query, got ", query, " and ", key);
    require(value.batch == key.batch && value.heads == key.heads && value.tokens == key.tokens, function,
            ": key and value must have the same batch, heads and tokens, got ", key, " and ", value);
    require(out_shape == out(), function, ": out must be ", out(), ", got ", out_shape);
    validate_offsets(sequences.query, query.tokens, "query", function);
    validate_offsets(sequences.key, key.tokens, "key", function);
    require(sequences.query.size() == sequences.key.size(), function, ": there are offsets of ",
            sequences.query.size() - 1, " sequences of queries and of ", sequences.key.size() - 1, " of keys");
    for (std::size_t s = 1; s < sequences.query.size(); ++s) {
      require_countable(sequences.query[s] - sequences.query[s - 1], "a sequence of query", function);
      require_countable(sequences.key[s] - sequences.key[s - 1], "a sequence of key", function);
    }
  }

  static void validate_offsets(std::span<const Index> offsets, Index tokens, const char* of, const char* function) {
    require(!offsets.empty() && offsets.front() == 0 && offsets.back() == tokens &&
                std::is_sorted(offsets.begin(), offsets.end()),
            function, ": the offsets of ", of, " must rise from 0 to its ", tokens, " tokens");
  }
};

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
