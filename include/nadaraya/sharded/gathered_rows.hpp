// The candidates of all ranks, row by row in the order of the keys, and rows of numbers that travel with their keys.
#pragma once

#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Rows of numbers, such as values, of some keys of all ranks.
template <class Scalar>
class KeyedRows {
 public:
  /// Makes room for `keys` rows of `cols` numbers.
  void reserve(std::size_t keys, Index cols) {
    numbers_.reserve(keys * static_cast<std::size_t>(cols));
    places_.reserve(keys);
  }

  /// None, of `cols` numbers.
  void clear(Index cols) {
    cols_ = cols;
    numbers_.clear();
    places_.clear();
  }

  /// Adds those of a list of keys, which other lists do not hold, from a message.
  void read(std::span<const KeyIndex> keys, MessageReader& reader) {
    const std::size_t begin = places_.size();
    const std::size_t end = begin + keys.size();
    const auto cols = static_cast<std::size_t>(cols_);
    numbers_.resize(end * cols);
    reader.read(numbers_.data() + begin * cols, keys.size() * cols);
    places_.resize(end);
    for (std::size_t i = begin; i < end; ++i) places_[i] = {keys[i - begin], static_cast<KeyIndex>(i)};
  }

  /// To be called after the last one.
  void close() {
    if (!std::is_sorted(places_.begin(), places_.end())) std::sort(places_.begin(), places_.end());
  }

  /// Fills `places` with those of some keys in view().
  void find(std::span<const KeyIndex> keys, std::vector<KeyIndex>& places) const {
    places.clear();
    for (const KeyIndex key : keys) {
      places.push_back(std::lower_bound(places_.begin(), places_.end(), std::pair(key, KeyIndex(0)))->second);
    }
  }

  engine::View<Scalar> view() const {
    return engine::View<Scalar>{numbers_.data(), static_cast<Index>(places_.size()), cols_, cols_};
  }
  /// `count` of their columns.
  engine::View<Scalar> columns(Index first, Index count) const {
    const Scalar* const from = numbers_.empty() ? nullptr : numbers_.data() + first;
    return engine::View<Scalar>{from, static_cast<Index>(places_.size()), count, cols_};
  }

 private:
  Index cols_ = 0;
  std::vector<Scalar> numbers_;
  std::vector<std::pair<KeyIndex, KeyIndex>> places_;  ///< key and place
};

/// Sorts and makes distinct.
inline void make_distinct(std::vector<KeyIndex>& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

/// Appends rows of candidates above floors[r]; position(j) is that of a rank's key among all. `kept` gets the keys, as the
/// rank counts them.
template <class Scalar, class Position>
void add_candidates(std::span<const CandidateRow<Scalar>> rows, std::span<const Scalar> floors, const Position& position,
                    std::vector<KeyIndex>& kept, Message& message) {
  kept.clear();
  std::vector<Scalar> scores;
  std::vector<std::int32_t> counts;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::size_t before = kept.size();
    for (std::size_t j = 0; j < rows[r].size(); ++j) {
      if (!(floors[r] < rows[r].values()[j])) continue;
      kept.push_back(rows[r].keys()[j]);
      scores.push_back(rows[r].values()[j]);
    }
    counts.push_back(static_cast<std::int32_t>(kept.size() - before));
  }
  message.add(std::span<const std::int32_t>(counts));
  for (const KeyIndex key : kept) message.add(static_cast<KeyIndex>(position(key)));
  message.add(std::span<const Scalar>(scores));
}

/// The candidates that one rank has sent, where they are in its message, row after row.
template <class Scalar>
class RankCandidates {
 public:
  /// Makes room for the ends of `rows` rows.
  void reserve(std::size_t rows) { ends_.reserve(rows + 1); }

  /// Those of `rows` rows.
  void read(std::size_t rows, MessageReader& reader) {
    const auto counts = reader.view<std::int32_t>(rows);
    ends_.assign(1, 0);
    for (std::size_t r = 0; r < rows; ++r) ends_.push_back(ends_.back() + static_cast<std::size_t>(counts[r]));
    keys_ = reader.view<KeyIndex>(ends_.back());
    scores_ = reader.view<Scalar>(ends_.back());
  }

  /// How many there are.
  std::size_t size() const { return ends_.empty() ? 0 : ends_.back(); }

  /// Appends those of row r to a row.
  void append_to(std::size_t r, CandidateRow<Scalar>& row) const {
    for (std::size_t i = ends_[r]; i < ends_[r + 1]; ++i) row.push(keys_[i], scores_[i]);
  }

 private:
  std::vector<std::size_t> ends_;  ///< where rows end, after a 0
  SentNumbers<KeyIndex> keys_;
  SentNumbers<Scalar> scores_;
};

/// Fills a row with the candidates that ranks have sent for it, ascending.
template <class Scalar>
void take_row(std::size_t r, std::span<const RankCandidates<Scalar>> ranks, std::vector<std::pair<KeyIndex, Scalar>>& sorted,
              CandidateRow<Scalar>& row) {
  row.clear();
  for (const RankCandidates<Scalar>& rank : ranks) rank.append_to(r, row);
  if (std::is_sorted(row.keys().begin(), row.keys().end())) return;
  sorted.clear();
  for (std::size_t j = 0; j < row.size(); ++j) sorted.emplace_back(row.keys()[j], row.values()[j]);
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t j = 0; j < row.size(); ++j) {
    row.key_data()[j] = sorted[j].first;
    row.value_data()[j] = sorted[j].second;
  }
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
