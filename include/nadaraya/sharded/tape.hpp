// What the forward pass of a sharded operator leaves for the backward pass.
#pragma once

#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/agreement.hpp"
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

/// Keys of some rows, and a number for each, one row after the other.
template <class Scalar>
class ListedRows {
 public:
  /// No rows.
  void clear() {
    ends_.clear();
    keys_.clear();
    numbers_.clear();
  }
  /// Appends a row.
  void add(std::span<const KeyIndex> keys, std::span<const Scalar> numbers) {
    keys_.insert(keys_.end(), keys.begin(), keys.end());
    numbers_.insert(numbers_.end(), numbers.begin(), numbers.end());
    end_row();
  }
  /// Appends a pair to the row that end_row() ends.
  void add_pair(KeyIndex key, const Scalar& number) {
    keys_.push_back(key);
    numbers_.push_back(number);
  }
  void end_row() { ends_.push_back(keys_.size()); }  ///< Ends a row.

  std::size_t rows() const { return ends_.size(); }  ///< How many rows there are.
  std::span<const KeyIndex> keys(std::size_t row) const { return of_row(row, keys_); }  ///< Those of a row.
  std::span<const Scalar> numbers(std::size_t row) const { return of_row(row, numbers_); }  ///< Those of a row.

  /// All rows, as add() takes them from a message.
  void write(Message& to) const {
    for (std::size_t row = 0; row < rows(); ++row) to.add(static_cast<KeyIndex>(keys(row).size()));
    to.add(std::span<const KeyIndex>(keys_));
    to.add(std::span<const Scalar>(numbers_));
  }
  /// Appends `rows` rows that were written to a message.
  void add(std::size_t rows, MessageReader& from) {
    const auto sizes = from.view<KeyIndex>(rows);
    const std::size_t begin = keys_.size();
    std::size_t end = begin;
    for (std::size_t row = 0; row < rows; ++row) ends_.push_back(end += static_cast<std::size_t>(sizes[row]));
    keys_.resize(end);
    numbers_.resize(end);
    from.read(keys_.data() + begin, end - begin);
    from.read(numbers_.data() + begin, end - begin);
  }

 private:
  template <class T>
  std::span<const T> of_row(std::size_t row, const std::vector<T>& entries) const {
    const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
    return std::span(entries).subspan(begin, ends_[row] - begin);
  }

  std::vector<std::size_t> ends_;
  std::vector<KeyIndex> keys_;
  std::vector<Scalar> numbers_;
};

/// What a rank knows of the rows of a forward pass.
template <class Scalar>
struct Record {
  std::vector<RowNormalizer<Scalar>> maps;  ///< of each query that this rank has solved
  std::vector<Index> support_sizes;  ///< of each query; -1 of a row that is NaN
  // Of sparse rows:
  ListedRows<Scalar> rows;  ///< of each query that this rank has solved: its keys among all, and their coordinates
  ListedRows<Scalar> own;   ///< of each query: its keys among those of this rank, counted in it, and their weights
  std::vector<char> divided;  ///< of each batch of queries: has each rank solved a part of it, and not all ranks all?

  /// No rows.
  void clear() {
    maps.clear();
    support_sizes.clear();
    rows.clear();
    own.clear();
    divided.clear();
  }

  /// Appends a row.
  void add(const RowNormalizer<Scalar>& map, Index support_size) {
    maps.push_back(map);
    support_sizes.push_back(support_size);
  }
};

/// A rank's record of a forward pass: its operands, all queries, of each query that it has solved the support over all ranks, and of
/// the others the part among its own keys. Memory: O(Nq D) and, of a sparse rule, O(support). Operands that lie in memory are referred
/// to, as by a Tape of one machine, and must outlive it unchanged.
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
