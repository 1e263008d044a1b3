// Candidates through a grid: for rules whose floor is known before any key is seen, under a similarity that falls with
// distance.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/grid_functions.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/index/grid.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/simd/prefetch.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// How many of some keys are within a radius of one of them, about: counted over some random pairs, of
/// which one counts always.
template <class Scalar>
double expected_near(const View<Scalar>& keys, const Scalar& radius) {
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
    within += square <= radius * radius ? 1 : 0;
  }
  return double(within) / pairs * double(keys.rows);
}

/// True if a grid finds the keys within the radius faster than a scan, for `queries` that see `seen` keys each.
template <class Scalar>
bool worth_a_grid(const View<Scalar>& keys, const Scalar& radius, Index queries, double seen) {
  // With fewer queries or keys the product loop is done before the grid is built.
  constexpr Index fewest_queries = 256;
  constexpr Index fewest_keys = 1024;
  // Measured: the keys that the product loop scans in the time the grid takes to find one.
  constexpr double cost = 10;
  return 1 <= keys.cols && keys.cols <= Grid<Scalar>::max_dimension && detail::is_finite(radius) &&
         queries >= fewest_queries && queries <= (std::numeric_limits<KeyIndex>::max)() && keys.rows >= fewest_keys &&
         cost * expected_near(keys, radius) < seen;
}

/// Gives a row n entries in the order of their keys, which come in none and are below key_count.
template <class Scalar>
void sort_by_key(const KeyIndex* keys, const Scalar* z, Index n, Index key_count, NearKeys& near_keys, CandidateRow<Scalar>& row) {
  // All with all is faster for few entries, though there are n^2 pairs, a vector of them at a time.
  if (n * n / 32 <= 3 * n + key_count / 64) {
    loops<Scalar, GridLoops>().ranks(keys, n, near_keys.ranks.data());
  } else {
    const Index words = key_count / 64 + 1;
    near_keys.bits.resize(std::size_t(words));
    near_keys.before.resize(std::size_t(words));
    loops<Scalar, GridLoops>().ranks_by_bits(keys, n, words, near_keys.bits.data(), near_keys.before.data(),
                                             near_keys.ranks.data());
  }
  row.reserve(std::size_t(n));
  for (std::size_t j = 0; j < std::size_t(n); ++j) {
    row.key_data()[near_keys.ranks[j]] = keys[j];
    row.value_data()[near_keys.ranks[j]] = z[j];
  }
  row.resize(std::size_t(n));
}

/// Fills a row, which is empty and has all of its floor, with the visible keys of a query whose similarity exceeds it (NaN
/// does), ascending.
template <class Scalar>
void find_by_grid(const Head<Scalar>& head, Index query, BlockScratch<Scalar>& scratch, CandidateRow<Scalar>& row) {
  const Grid<Scalar>& grid = *head.keys->scored().grid();
  const View<Scalar>& key = head.key();
  const Extent n = head.extent();
  const KeyRange range = head.mask().range(query, n);
  const Scalar* const q = head.query.row(query);
  const auto visible = [&](Index j) { return j >= range.first && j < range.last && head.mask().is_visible(query, j, n); };
  if (!grid.finite(q)) {
    for (Index j = range.first; j < range.last; ++j) {
      if (!visible(j)) continue;
      Scalar z;
      head.similarity().score(q, key, KeyList::range(j, j + 1), &z);
      if (!(z <= row.floor())) row.push(static_cast<KeyIndex>(j), z);
    }
    return;
  }
  NearKeys& found = scratch.near_keys;
  const Index around = grid.around(q, head.similarity().radius(row.floor(), key.cols), found);
  const std::vector<KeyIndex>& others = grid.not_finite();
  const auto most = std::size_t(around) + others.size();
  found.reserve(static_cast<Index>(most));
  if (scratch.tile.size() < most + pack_slack) scratch.tile.resize(2 * (most + pack_slack));
  if (scratch.panel.size() < (most + 1) * std::size_t(key.cols)) scratch.panel.resize(2 * (most + 1) * std::size_t(key.cols));
  // The points lie next to their neighbours in the grid, not among the keys, where they may be anywhere.
  Index count = 0;
  for (std::size_t j = 0; j < std::size_t(around); ++j) {
    if (!visible(found.keys[j])) continue;
    grid.copy_point(found.positions[j], scratch.panel.data() + count * key.cols);
    found.keys[std::size_t(count++)] = found.keys[j];
  }
  for (const KeyIndex j : others) {
    if (!visible(j)) continue;
    std::copy_n(key.row(j), key.cols, scratch.panel.data() + count * key.cols);
    found.keys[std::size_t(count++)] = j;
  }
  Scalar* const z = scratch.tile.data();
  head.similarity().score(q, View<Scalar>{scratch.panel.data(), count, key.cols, key.cols}, KeyList::range(0, count), z);
  const Index kept = loops<Scalar>().prune(z, found.keys.data(), count, row.floor());
  sort_by_key(found.keys.data(), z, kept, key.rows, found, row);
}

/// The same for the queries of a block.
template <class Scalar>
void find_by_grid(const Head<Scalar>& head, const QueryRange& range, BlockScratch<Scalar>& scratch) {
  for (Index r = 0; r < range.count; ++r) {
    // Queries are near each other, but not in memory.
    if (r + 8 < range.count) simd::prefetch(head.query.row(head.query_at(range.first + r + 8)));
    find_by_grid(head, head.query_at(range.first + r), scratch, scratch.rows[static_cast<std::size_t>(r)]);
  }
}

template <class Scalar>
std::shared_ptr<const Grid<Scalar>> make_grid(const View<Scalar>& keys, const Scalar& radius) {
  return std::make_shared<const Grid<Scalar>>(keys, radius);
}

template <class Scalar>
const GridFunctions<Scalar>& grid_functions() {
  static constexpr GridFunctions<Scalar> functions{&worth_a_grid<Scalar>, &make_grid<Scalar>, &morton_order<Scalar>,
                                                   &find_by_grid<Scalar>};
  return functions;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
