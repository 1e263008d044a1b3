// What the forward pass of a sharded operator leaves for the backward pass.
#pragma once

#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/sharded/layout.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

template <class Scalar, class C>
class Calls;

/// What ranks know of the rows of a forward pass, the same on all of them.
template <class Scalar>
struct Record {
  std::vector<RowNormalizer<Scalar>> maps;  ///< of each query
  std::vector<Index> support_sizes;
  // Of sparse rows, one after the other:
  std::vector<std::size_t> ends;
  std::vector<KeyIndex> keys;  ///< by their positions among all
  std::vector<Scalar> coordinates;

  void clear() {
    maps.clear();
    support_sizes.clear();
    ends.clear();
    keys.clear();
    coordinates.clear();
  }

  /// Appends a row.
  void add(const RowNormalizer<Scalar>& map, Index support_size, std::span<const KeyIndex> stored, std::span<const Scalar> t) {
    maps.push_back(map);
    support_sizes.push_back(support_size);
    keys.insert(keys.end(), stored.begin(), stored.end());
    coordinates.insert(coordinates.end(), t.begin(), t.end());
    ends.push_back(keys.size());
  }

  template <class T>
  std::span<const T> of_row(Index row, const std::vector<T>& entries) const {
    const auto r = static_cast<std::size_t>(row);
    const std::size_t begin = r == 0 ? 0 : ends[r - 1];
    return std::span(entries).subspan(begin, ends[r] - begin);
  }
  std::span<const KeyIndex> row_keys(Index row) const { return of_row(row, keys); }
  std::span<const Scalar> row_coordinates(Index row) const { return of_row(row, coordinates); }
};

/// A rank's record of a forward pass: its operands, all queries, and of each query the support over all ranks. Memory:
/// O(Nq D) and, of a sparse rule, O(support). Operands that lie in memory are referred to, as by a Tape of one machine, and
/// must outlive it unchanged.
template <class Scalar>
class Tape {
 public:
  Index queries() const { return query_.rows(); }  ///< Those of all ranks.
  Index first_query() const { return layout_.first_query; }  ///< The first of those whose output this rank has got.
  Index own_queries() const { return layout_.own_queries; }  ///< How many these are.
  Index keys() const { return layout_.all.keys; }  ///< Those of all ranks.

  /// How many keys of all ranks have weight for a query; 0 for an empty row. Of a rule that is not sparse, and of a row that
  /// is NaN, that number is not formed: -1.
  Index support_size(Index query) const { return record_.support_sizes[static_cast<std::size_t>(query)]; }

  const Rows<Scalar>& query() const { return query_; }  ///< The queries of all ranks.
  const Rows<Scalar>& key() const { return key_; }  ///< The keys of this rank.
  const Rows<Scalar>& value() const { return value_; }  ///< The values of this rank.

 private:
  template <class, class>
  friend class Calls;

  Call call_ = Call::forward;  ///< that made it
  Rows<Scalar> query_;
  Rows<Scalar> key_;
  Rows<Scalar> value_;
  Layout layout_;
  Record<Scalar> record_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
