// Keys and values as scalars. Those that are stored in 16 bits are widened some at a time, and give the bits that stored
// scalars of the same values would give.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Keys that are read at a time where each is read once: more, widened, would push each other out of the first cache.
template <class Scalar>
Index keys_at_once(const Head<Scalar>& head, Index all) {
  constexpr Index some = 16;
  return head.keys->stored_key().narrow() ? some : all;
}

/// Keys [first, first + count): where they are stored, or widened, until the next call of a function of this file.
template <class Scalar>
View<Scalar> key_rows(const Head<Scalar>& head, Index first, Index count, BlockScratch<Scalar>& scratch) {
  return head.keys->stored_key().read(first, count, scratch.widened);
}

/// Writes the similarities z[j] of a query and listed keys, without a bias.
template <class Scalar>
void score_listed(const Head<Scalar>& head, Index query, const KeyIndex* keys, Index count, Scalar* z,
                  BlockScratch<Scalar>& scratch) {
  const Scalar* const q = head.query.row(query);
  const StoredRows<Scalar>& stored = head.keys->stored_key();
  if (!stored.narrow()) return head.similarity().score(q, head.key(), KeyList::listed(keys, count), z);
  for (Index first = 0; first < count; first += panel_keys) {
    const Index some = (std::min)(panel_keys, count - first);
    const View<Scalar> rows = stored.gather(keys + first, some, scratch.widened);
    head.similarity().score(q, rows, KeyList::range(0, some), z + first);
  }
}

/// Writes the products z[place_j] of a query and the keys key[place_j], times the similarity's factor.
template <class Scalar>
void score_places(const Head<Scalar>& head, const KeyIndex* place, Index count, const KeyIndex* key, const Scalar* query,
                  Scalar* z, BlockScratch<Scalar>& scratch) {
  const StoredRows<Scalar>& stored = head.keys->stored_key();
  const View<Scalar>& all = head.key();
  if (!stored.narrow()) {
    loops<Scalar>().scores(place, count, key, all.data, all.stride, all.cols, query, z, head.factor);
    return;
  }
  KeyIndex listed[panel_keys];
  Scalar products[panel_keys];
  for (Index first = 0; first < count; first += panel_keys) {
    const Index some = (std::min)(panel_keys, count - first);
    for (Index j = 0; j < some; ++j) listed[j] = key[place[first + j]];
    const View<Scalar> rows = stored.gather(listed, some, scratch.widened);
    loops<Scalar>().products(rows.data, rows.stride, some, rows.cols, query, products, head.factor);
    for (Index j = 0; j < some; ++j) z[place[first + j]] = products[j];
  }
}

/// Prefetches the keys key[place_j], where they are read as they are stored.
template <class Scalar>
void fetch_places(const Head<Scalar>& head, const KeyIndex* place, Index count, const KeyIndex* key) {
  const View<Scalar>& all = head.key();
  if (!head.keys->stored_key().narrow()) loops<Scalar>().fetch_rows(place, count, key, all.data, all.stride, all.cols);
}

/// Mixes the values of some keys; those without weight take no part. Sums of list_run_terms of them are added up, as in the
/// loop mix.
template <class Scalar>
void mix(const Head<Scalar>& head, std::span<const KeyIndex> keys, RowView<Scalar> p, Scalar* out,
         BlockScratch<Scalar>& scratch) {
  const StoredRows<Scalar>& stored = head.keys->stored_value();
  const View<Scalar>& all = head.value();
  const auto count = static_cast<Index>(keys.size());
  if (!stored.narrow()) {
    loops<Scalar>().mix(keys.data(), p.data(), count, all.data, all.stride, all.cols, out);
    return;
  }
  KeyIndex places[list_run_terms];
  for (Index i = 0; i < list_run_terms; ++i) places[i] = static_cast<KeyIndex>(i);
  scratch.part.resize(static_cast<std::size_t>(all.cols));
  Index begin = 0;
  do {
    const Index some = (std::min)(count - begin, list_run_terms);
    const View<Scalar> rows = stored.gather(keys.data() + begin, some, scratch.widened);
    loops<Scalar>().mix(places, p.data() + begin, some, rows.data, rows.stride, all.cols, begin == 0 ? out : scratch.part.data());
    for (Index c = 0; begin > 0 && c < all.cols; ++c) out[c] += scratch.part[static_cast<std::size_t>(c)];
    begin += list_run_terms;
  } while (begin < count);
}

/// Values [first, first + count) with zero for NaN and infinity.
template <class Scalar>
View<Scalar> finite_value_rows(const Head<Scalar>& head, Index first, Index count, BlockScratch<Scalar>& scratch) {
  const StoredRows<Scalar>& stored = head.keys->stored_value();
  const View<Scalar>& finite = head.finite_value();
  if (!stored.narrow()) return View<Scalar>{finite.row(first), count, finite.cols, finite.stride};
  const View<Scalar> rows = stored.read(first, count, scratch.widened);
  const std::vector<Index>& replaced = head.nonfinite_values();
  for (auto i = std::lower_bound(replaced.begin(), replaced.end(), first); i != replaced.end() && *i < first + count; ++i) {
    Scalar* const row = scratch.widened.data() + (*i - first) * rows.cols;
    for (Index d = 0; d < rows.cols; ++d) row[d] = detail::is_finite(row[d]) ? row[d] : Scalar(0);
  }
  return rows;
}

/// c += a times the finite values [first, first + depth), for rows of a and c that lie a_row and c_row apart.
template <class Scalar>
void add_weighted_values(const Head<Scalar>& head, Index rows, const Scalar* a, Index a_row, Index first, Index depth,
                         Scalar* c, Index c_row, BlockScratch<Scalar>& scratch) {
  const Index step = head.keys->stored_value().narrow() ? run_terms : depth;
  for (Index d = 0; d < depth; d += step) {
    const View<Scalar> value = finite_value_rows(head, first + d, (std::min)(step, depth - d), scratch);
    loops<Scalar>().add_product(rows, value.rows, value.cols, a + d, a_row, Index(1), value.data, value.stride, c, c_row);
  }
}

/// c = a times the finite values [first, first + depth).
template <class Scalar>
void weigh_values(const Head<Scalar>& head, Index rows, const Scalar* a, Index a_row, Index first, Index depth, Scalar* c,
                  Index c_row, BlockScratch<Scalar>& scratch) {
  const Index step = head.keys->stored_value().narrow() ? (std::min)(run_terms, depth) : depth;
  const View<Scalar> value = finite_value_rows(head, first, step, scratch);
  loops<Scalar>().multiply(rows, step, value.cols, a, a_row, Index(1), value.data, value.stride, c, c_row);
  add_weighted_values(head, rows, a + step, a_row, first + step, depth - step, c, c_row, scratch);
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
