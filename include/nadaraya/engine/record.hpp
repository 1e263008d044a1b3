// What forward writes down about one block of queries, for backward.
#pragma once

#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Written by whichever thread has the block. Rows are numbered within it.
template <class Scalar>
struct Record {
  Index first_query = 0;          ///< the query of the first row, if they are consecutive
  std::vector<KeyIndex> queries;  ///< the queries of the rows; consecutive if empty
  std::vector<RowNormalizer<Scalar>> maps;
  std::vector<KeyIndex> support_sizes;
  /// The stored keys of all rows and their coordinates, row after row; nothing if `recompute`.
  std::vector<KeyIndex> keys;
  std::vector<Scalar> coordinates;
  std::vector<std::size_t> ends;
  bool recompute = false;
  bool counts_only = false;  ///< set before the pass: only `queries` and `support_sizes` are recorded

  /// As a new one, in the memory that it has.
  void clear() {
    for (auto* list : {&queries, &support_sizes, &keys}) list->clear();
    first_query = 0;
    maps.clear();
    coordinates.clear();
    ends.clear();
    recompute = counts_only = false;
  }

  Index rows() const { return static_cast<Index>(maps.size()); }

  /// The query of a row.
  Index query(Index row) const {
    return queries.empty() ? first_query + row : Index(queries[static_cast<std::size_t>(row)]);
  }

  /// The entries of a row, in an array with one for each stored key.
  template <class T>
  std::span<T> of_row(Index row, std::span<T> entries) const {
    if (recompute) return {};
    const auto r = static_cast<std::size_t>(row);
    const std::size_t begin = r == 0 ? 0 : ends[r - 1];
    return entries.subspan(begin, ends[r] - begin);
  }
  std::span<const KeyIndex> row_keys(Index row) const { return of_row(row, std::span(keys)); }
  std::span<const Scalar> row_coordinates(Index row) const { return of_row(row, std::span(coordinates)); }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
