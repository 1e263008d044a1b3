// The candidates of a row through a grid: for rules whose floor is known before any key is seen, under
// a similarity that falls with distance.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/grid.hpp"
#include "nadaraya/engine/packed.hpp"
#include "nadaraya/engine/row.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Can keys be put in a grid under this similarity?
template <class Scalar, class Sim>
concept Placed = vectorized<Scalar> && LocalSimilarity<Sim, Scalar> && !PreparingSimilarity<Sim>;

/// ... and found there under this mask? A bias can lift a key at any distance.
template <class Scalar, class Sim, class M>
concept Gridded = Placed<Scalar, Sim> && !BiasMask<M>;

/// How many of some keys are within reach of one of them, about: counted over some random pairs, of
/// which one counts always.
template <class Scalar>
double expected_near(const View<Scalar>& keys, const Scalar& reach) {
  constexpr int pairs = 4096;
  std::uint64_t state = 0;
  const auto random_key = [&] {
    // splitmix64 (Steele, Lea & Flood 2014).
    std::uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return keys.row(static_cast<Index>((x ^ (x >> 31)) % std::uint64_t(keys.rows)));
  };
  int within = 1;
  for (int i = 0; i < pairs; ++i) {
    const Scalar* a = random_key();
    const Scalar* b = random_key();
    Scalar square(0);
    for (Index d = 0; d < keys.cols; ++d) square += (a[d] - b[d]) * (a[d] - b[d]);
    within += square <= reach * reach ? 1 : 0;
  }
  return double(within) / pairs * double(keys.rows);
}

/// True if a grid finds the keys within the radius faster than a scan, for `queries` that see `seen` keys each.
template <class Scalar>
bool worth_a_grid(const View<Scalar>& keys, const Scalar& reach, Index queries, double seen) {
  // With fewer queries or keys the product loop is done before the grid is built.
  constexpr Index fewest_queries = 256;
  constexpr Index fewest_keys = 1024;
  // Measured: the keys that the product loop scans in the time the grid takes to find one.
  constexpr double cost = 10;
  return 1 <= keys.cols && keys.cols <= Grid<Scalar>::max_dimension && detail::is_finite(reach) &&
         queries >= fewest_queries && queries <= (std::numeric_limits<KeyIndex>::max)() && keys.rows >= fewest_keys &&
         cost * expected_near(keys, reach) < seen;
}

/// Gives a row n entries in the order of their keys, which come in none and are below key_count.
template <class Scalar>
void sort_by_key(const KeyIndex* keys, const Scalar* z, Index n, Index key_count, NearKeys& near_keys, Row<Scalar>& row) {
  with_loops<Scalar>([&](auto loops) {
    // All with all is faster for few entries, though there are n^2 pairs, a vector of them at a time.
    if (n * n / 32 <= 3 * n + key_count / 64) {
      loops.ranks(keys, n, near_keys.ranks.data());
    } else {
      const Index words = key_count / 64 + 1;
      near_keys.bits.resize(std::size_t(words));
      near_keys.before.resize(std::size_t(words));
      loops.ranks_by_bits(keys, n, words, near_keys.bits.data(), near_keys.before.data(), near_keys.ranks.data());
    }
  });
  row.reserve(std::size_t(n));
  for (std::size_t j = 0; j < std::size_t(n); ++j) {
    row.key_data()[near_keys.ranks[j]] = keys[j];
    row.value_data()[near_keys.ranks[j]] = z[j];
  }
  row.resize(std::size_t(n));
}

/// Fills a row, which is empty, with the visible keys whose similarity exceeds its floor (NaN does),
/// ascending. No key farther from the query than `reach` has such a similarity.
template <class Scalar, class Sim, class M>
void find_near(const Grid<Scalar>& grid, const Sim& similarity, const M& mask, const View<Scalar>& queries,
               const View<Scalar>& keys, Index query, const Scalar& reach, NearKeys& near_keys, LineVector<Scalar>& scores,
               Row<Scalar>& row) {
  const Extent n{queries.rows, keys.rows};
  const KeyRange range = mask.range(query, n);
  const auto q = queries.eigen_row(query);
  if (!grid.finite(q.data())) {
    for (Index j = range.first; j < range.last; ++j) {
      if (!is_visible(mask, query, j, n)) continue;
      const Scalar z = similarity.score(q, keys.eigen_row(j));
      if (!(z <= row.floor())) row.push(static_cast<KeyIndex>(j), z);
    }
    return;
  }
  const Index found = grid.around(q.data(), reach, near_keys);
  const std::vector<KeyIndex>& others = grid.not_finite();
  const Index most = found + static_cast<Index>(others.size());
  near_keys.reserve(most);
  if (scores.size() < std::size_t(most)) scores.resize(2 * std::size_t(most));
  std::size_t count = 0;
  const auto add = [&](KeyIndex key, const auto& k) {
    if (key < range.first || key >= range.last || !is_visible(mask, query, Index(key), n)) return;
    const Scalar z = similarity.score(q, k);
    near_keys.keys[count] = key;
    scores[count] = z;
    count += z <= row.floor() ? 0 : 1;
  };
  for (std::size_t j = 0; j < std::size_t(found); ++j) {
    // The point next to its neighbours in the grid, not among the keys, where it may be anywhere.
    // Whole vectors of them: gcc 12 does not see that Eigen reads no more than there are columns.
    Scalar point[Grid<Scalar>::max_dimension + 1] = {};
    grid.copy_point(near_keys.places[j], point);
    add(near_keys.keys[j], View<Scalar>{point, 1, keys.cols, keys.cols}.eigen_row(0));
  }
  for (const KeyIndex key : others) add(key, keys.eigen_row(key));
  sort_by_key(near_keys.keys.data(), scores.data(), static_cast<Index>(count), keys.rows, near_keys, row);
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
