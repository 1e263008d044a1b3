// The heads of a call, numbered by batch entry, sequence and head.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// One head in one sequence of one batch entry.
struct HeadPosition {
  Index batch, sequence, head, key_head;
  Index first_query, queries, first_key, keys;
  Index key_set;   ///< numbers the sets of keys
  bool new_keys;   ///< is this head the first to read them?

  template <class T>
  auto queries_of(const HeadView<T>& view) const {
    return view.rows(batch, head, first_query, queries);
  }
  template <class T>
  auto keys_of(const HeadView<T>& view) const {
    return view.rows(batch, key_head, first_key, keys);
  }
};

/// All of them. Refers to the offsets of the sequences.
struct HeadPositions {
  AttentionShapes shapes;
  Offsets sequences;

  std::size_t size() const {
    return static_cast<std::size_t>(shapes.query.batch * sequences.sequences() * shapes.query.heads);
  }

  /// visit(i, position), in order.
  void for_each(FunctionRef<void(std::size_t i, const HeadPosition& position)> visit) const {
    std::size_t i = 0;
    Index key_set = -1;
    for (Index b = 0; b < shapes.query.batch; ++b) {
      for (Index s = 0; s < sequences.sequences(); ++s) {
        const TokenRange queries = sequences.queries_of(shapes.query.tokens, b, s);
        const TokenRange keys = sequences.keys_of(shapes.key.tokens, b, s);
        Index last_key_head = -1;
        for (Index h = 0; h < shapes.query.heads; ++h) {
          const Index key_head = h * shapes.key.heads / shapes.query.heads;
          const bool new_keys = key_head != last_key_head;
          last_key_head = key_head;
          key_set += new_keys ? 1 : 0;
          visit(i++, HeadPosition{b, s, h, key_head, queries.first, queries.count, keys.first, keys.count, key_set, new_keys});
        }
      }
    }
  }
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
