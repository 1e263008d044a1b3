// Heads whose keys and values are cached.
#pragma once

#include "nadaraya/engine/problem.hpp"
#include "nadaraya/head_positions.hpp"
#include "nadaraya/head_shapes.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The cached keys and values of one head, whatever the similarity they were prepared for.
template <class Scalar>
struct CachedHead {
  Index keys;        ///< Nk
  Index key_cols;    ///< D
  Index value_cols;  ///< Dv
  const engine::PreparedKeys<Scalar>* prepared;  ///< the keys and values as the engine reads them
};

namespace detail {

/// What a KeyValueCache holds, until the next call that changes it.
template <class Scalar, class Cache>
CachedHead<Scalar> cached_head(const Cache& cache) {
  return {cache.rows(), cache.key_cols(), cache.value_cols(), cache.prepared()};
}

/// The heads of sequences that have queries, of as many key heads as are cached for each.
template <class T>
engine::LineVector<HeadPosition> cached_positions(const HeadView<T>& query, Index key_heads, const Offsets& sequences,
                                                  engine::Arena& memory) {
  engine::LineVector<HeadPosition> heads(&memory);
  const Index each = sequences.sequences();
  heads.reserve(static_cast<std::size_t>(query.batch() * each * query.heads()));
  for (Index i = 0; i < query.batch() * each; ++i) {
    const TokenRange queries = sequences.queries_of(query.tokens(), i / each, i % each);
    if (queries.count == 0) continue;
    for (Index h = 0; h < query.heads(); ++h) {
      const Index key_head = h * key_heads / query.heads();
      const bool new_keys = h == 0 || key_head != heads.back().key_head;
      const Index key_set = heads.empty() ? 0 : heads.back().key_set + (new_keys ? 1 : 0);
      heads.push_back({i / each, i % each, h, key_head, queries.first, queries.count, 0, 0, key_set, new_keys});
    }
  }
  return heads;
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
