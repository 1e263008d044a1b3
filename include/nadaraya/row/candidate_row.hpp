// One row's candidates: the keys that may have weight, and a number for each.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The candidates of a row: their keys and numbers, in parallel arrays. The numbers are similarities while candidates are
/// gathered and coordinates once the row is weighed; keys ascend while candidates are gathered. After the last entry there
/// is room for a whole vector, which the engine's loops may overwrite.
template <class Scalar>
class CandidateRow {
 public:
  std::size_t size() const { return size_; }  ///< How many candidates.
  bool empty() const { return size_ == 0; }  ///< True if there are none.

  std::span<const KeyIndex> keys() const { return {keys_.data(), size_}; }  ///< Their keys.
  /// Their similarities or coordinates, in the same order.
  std::span<const Scalar> values() const { return {values_.data(), size_}; }
  KeyIndex* key_data() { return keys_.data(); }  ///< The keys, to write.
  Scalar* value_data() { return values_.data(); }  ///< The values, to write.

  /// Keys with a similarity at or below it have been left out, for they cannot have weight.
  const Scalar& floor() const { return floor_; }
  void set_floor(const Scalar& floor) { floor_ = floor; }  ///< Notes the floor, and drops nothing.

  /// The numbers are similarities, or lie below them by this much at most.
  const Scalar& bound_slack() const { return bound_slack_; }
  void set_bound_slack(const Scalar& slack) { bound_slack_ = slack; }  ///< Notes the slack.

  /// No keys, no floor and no bound slack.
  void clear() {
    size_ = 0;
    floor_ = -Scalar(Eigen::NumTraits<Scalar>::infinity());
    bound_slack_ = Scalar(0);
  }

  /// Appends a candidate.
  void push(KeyIndex j, const Scalar& z) {
    reserve(1);
    keys_[size_] = j;
    values_[size_] = z;
    ++size_;
  }

  /// How many entries there is room for.
  std::size_t capacity() const { return keys_.size() - engine::pack_slack; }

  /// Makes room for `more` entries; the present ones stay.
  void reserve(std::size_t more) {
    const std::size_t needed = size_ + more + engine::pack_slack;
    if (needed <= keys_.size()) return;
    const std::size_t grown = (std::max)({least, needed, 2 * keys_.size()});
    grow(keys_, grown);
    grow(values_, grown);
  }

  /// The first n entries, some of which may just have been written past the old end.
  void resize(std::size_t n) { size_ = n; }

 private:
  /// Room for the lists of most rows that are screened, so that they seldom grow.
  static constexpr std::size_t least = 256;

  template <class T>
  void grow(engine::LineVector<T>& list, std::size_t size) const {
    engine::LineVector<T> grown(size);
    std::copy_n(list.begin(), size_, grown.begin());
    list.swap(grown);
  }

  engine::LineVector<KeyIndex> keys_;
  engine::LineVector<Scalar> values_;
  std::size_t size_ = 0;
  Scalar floor_ = -Scalar(Eigen::NumTraits<Scalar>::infinity());
  Scalar bound_slack_ = Scalar(0);
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
