// What forward hands to backward: the operands, one RowNormalizer per query, and the compact support.
#pragma once

#include "nadaraya/engine/record.hpp"
#include "nadaraya/loops/blocks.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

template <class Scalar>
class AttentionTape;

/// The record of one forward pass. It refers to the query, key and value it was made from where
/// those are row-major lvalues or Maps: keep them alive and unchanged until backward. Others, temporary
/// blocks and Refs among them, it holds a copy of. Moved from, it has no queries. Size: O(queries) and,
/// where the support is sparse, the support; where it is dense (Gaussian, flat scores) nothing per
/// pair, and backward forms the pairs again: each thread holds those of 6 to 48 queries, 3 numbers a pair (18 Nk, or as many
/// as make no more than 2^20), and sums for dL/dkey and dL/dvalue. A forward pass may be given the tape of an earlier one,
/// whose memory it takes.
template <class Scalar>
class Tape {
 public:
  Index queries() const { return query_.rows(); }  ///< Nq
  Index keys() const { return key_.rows(); }  ///< Nk

  /// Queries to which no key has weight; their output is zero.
  Index empty_rows() const {
    Index total = 0;
    for (const auto& record : records_) {
      total += std::count(record.support_sizes.begin(), record.support_sizes.end(), KeyIndex(0));
    }
    return total;
  }

  /// How many keys have weight for a query; under a dense rule (Gaussian) all that are visible, though
  /// the smallest weights may underflow.
  Index support_size(Index query) const { return record(query).support_sizes[static_cast<std::size_t>(position(query))]; }

  /// Mean of support_size over the queries, 0 without queries.
  double mean_support() const {
    double total = 0;
    for (const auto& record : records_) {
      for (const KeyIndex size : record.support_sizes) total += size;
    }
    return queries() == 0 ? 0.0 : total / static_cast<double>(queries());
  }

  /// True if the tape stores this query's supported keys. False for dense rows (Gaussian, or a block in which most pairs are
  /// supported): backward forms them again.
  bool stores_support(Index query) const { return !record(query).recompute; }

  /// The stored keys of a query. The key that lends NearestNeighbors its bandwidth is stored last,
  /// without being supported.
  std::span<const KeyIndex> support(Index query) const { return record(query).row_keys(position(query)); }

  /// The compact coordinates of the stored keys, in the same order.
  std::span<const Scalar> coordinates(Index query) const { return record(query).row_coordinates(position(query)); }

  /// What the normalization decided for a query: its threshold, width and divisor.
  const RowNormalizer<Scalar>& row(Index query) const { return record(query).maps[static_cast<std::size_t>(position(query))]; }

  const Rows<Scalar>& query() const { return query_; }  ///< The queries, [Nq x D].
  const Rows<Scalar>& key() const { return key_; }  ///< The keys, [Nk x D].
  const Rows<Scalar>& value() const { return value_; }  ///< The values, [Nk x Dv].

 private:
  template <class, class, class, class, class>
  friend class NadarayaWatson;
  friend class AttentionTape<Scalar>;

  /// Empty ones, in the memory that there is.
  void make_records() {
    records_.resize(static_cast<std::size_t>(engine::block_count(queries())));
    for (auto& record : records_) record.clear();
    rows_.clear();
  }
  const engine::Record<Scalar>& record(Index query) const {
    return records_[static_cast<std::size_t>(block_of(query))];
  }
  /// Its place in that record.
  Index position(Index query) const { return row_of(query) - engine::block_begin(block_of(query), queries()); }
  Index block_of(Index query) const { return engine::block_of(row_of(query), queries()); }
  Index row_of(Index query) const { return rows_.empty() ? query : Index(rows_[static_cast<std::size_t>(query)]); }

  /// Notes where each query is recorded, once all are, if not in their own order.
  void find_rows() {
    Index row = 0;
    for (const auto& record : records_) {
      if (record.queries.empty()) continue;
      rows_.resize(static_cast<std::size_t>(queries()));
      for (const KeyIndex query : record.queries) rows_[static_cast<std::size_t>(query)] = static_cast<KeyIndex>(row++);
    }
  }

  Rows<Scalar> query_;
  Rows<Scalar> key_;
  Rows<Scalar> value_;
  std::vector<engine::Record<Scalar>> records_;
  std::vector<KeyIndex> rows_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
