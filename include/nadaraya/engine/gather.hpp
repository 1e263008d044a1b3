// The portable score pass: similarities tile by tile, and for each row the keys above its floor.
#pragma once

#include "nadaraya/engine/row.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace nadaraya::engine {

/// Queries and keys per tile. A tile of float scores is 16 KiB and its keys stay in the
/// second-level cache up to D = 256, while the block of queries passes over them.
inline constexpr Index query_block = 16;
inline constexpr Index key_block = 256;

/// The scores of a block of queries with a block of keys, one by one.
template <class Sim, class Q, class K, class Scores>
void score_pairs(const Sim& similarity, const Q& queries, const K& keys, Scores& z) {
  for (Index i = 0; i < queries.rows(); ++i) {
    for (Index j = 0; j < keys.rows(); ++j) z(i, j) = similarity.score(queries.row(i), keys.row(j));
  }
}

/// The same, by the similarity's own block form where it has one and the scalar is built in.
template <class Sim, class Q, class K, class Floor, class Scores>
void score_tile(const Sim& similarity, const Q& queries, const K& keys, const Floor& floor, Scores& z) {
  if constexpr (std::is_floating_point_v<ScalarOf<Q>> &&
                requires { similarity.score_tile(queries, keys, floor, z); }) {
    similarity.score_tile(queries, keys, floor, z);
  } else {
    score_pairs(similarity, queries, keys, z);
  }
}

/// Calls visit(i, row) for every query i in order, where `row` holds the visible keys whose
/// similarity exceeds every floor known while they were seen (NaN always does). `floor(z)` bounds
/// the support from below given the candidates so far. `row` may be changed by visit.
///
/// Scratch: one tile and the candidates of `query_block` rows.
template <class Scalar, class Sim, class M, class Floor, class Visit>
void gather(const Sim& similarity, const M& mask, const auto& queries, const auto& keys, const Floor& floor,
            const Visit& visit) {
  const Extent n{queries.rows(), keys.rows()};
  std::vector<Row<Scalar>> rows(static_cast<std::size_t>((std::min)(query_block, n.queries)));
  std::array<Scalar, query_block> floors;
  std::array<std::size_t, query_block> prune_at;
  RowMatrix<Scalar> tile(query_block, key_block);
  // A bias may lift a similarity over the floor, so it must be exact wherever there is one.
  std::array<Scalar, query_block> no_floors;
  no_floors.fill(-Scalar(Eigen::NumTraits<Scalar>::infinity()));

  for (Index first_query = 0; first_query < n.queries; first_query += query_block) {
    const Index block = (std::min)(query_block, n.queries - first_query);
    KeyRange seen{n.keys, 0};
    for (Index r = 0; r < block; ++r) {
      const auto slot = static_cast<std::size_t>(r);
      const KeyRange range = mask.range(first_query + r, n);
      if (range.first < range.last) {
        seen.first = (std::min)(seen.first, range.first);
        seen.last = (std::max)(seen.last, range.last);
      }
      rows[slot].clear();
      floors[slot] = floor(RowView<Scalar>());
      prune_at[slot] = 2 * static_cast<std::size_t>(key_block);
    }

    for (Index first_key = seen.first; first_key < seen.last; first_key += key_block) {
      const Index width = (std::min)(key_block, seen.last - first_key);
      auto z = tile.topLeftCorner(block, width);
      score_tile(similarity, queries.middleRows(first_query, block), keys.middleRows(first_key, width),
                 BiasMask<M> ? no_floors : floors, z);

      for (Index r = 0; r < block; ++r) {
        const auto slot = static_cast<std::size_t>(r);
        const Index query = first_query + r;
        const KeyRange range = mask.range(query, n);
        const Index begin = (std::max)(range.first, first_key);
        const Index end = (std::min)(range.last, first_key + width);
        for (Index j = begin; j < end; ++j) {
          if (!is_visible(mask, query, j, n)) continue;
          Scalar score = z(r, j - first_key);
          if constexpr (BiasMask<M>) score += Scalar(mask.bias(query, j, n));
          if (!(score <= floors[slot])) rows[slot].push(static_cast<KeyIndex>(j), score);
        }
        // Each pruning pays for itself: the list has doubled since the last.
        if (rows[slot].size() >= prune_at[slot]) {
          floors[slot] = (std::max)(floors[slot], Scalar(floor(RowView<Scalar>(rows[slot].similarity))));
          rows[slot].prune(floors[slot]);
          prune_at[slot] = 2 * (rows[slot].size() + static_cast<std::size_t>(key_block));
        }
      }
    }

    for (Index r = 0; r < block; ++r) visit(first_query + r, rows[static_cast<std::size_t>(r)]);
  }
}

}  // namespace nadaraya::engine
