// What ranks tell of their rows before candidates are gathered.
#pragma once

#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/canonical_rows.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// The numbers of some rows, to be reduced to the largest of each: of a row the floor that each rank knows, and the largest
/// similarities of each rank, in places of its own. A floor that follows from some keys of a row holds for all of them: that of the
/// largest similarities of all ranks together is higher than what any of them knows alone, and fewer candidates are gathered.
template <class Scalar>
class RowFloors {
 public:
  RowFloors() = default;
  /// Of `rows` rows, in at most `most` numbers if that is at least two for each: as many similarities of each rank as there is room
  /// for. Where there is room for none, or but one rank, the largest of all.
  RowFloors(Index rows, int rank, int ranks, Index most)
      : rows_(rows), each_(ranks == 1 || rows == 0 ? Index(0) : (most / rows - 1) / ranks) {
    own_ = each_ * rank;
    width_ = 1 + (std::max)(each_ * ranks, Index(1));
  }

  /// How many numbers they have.
  Index size() const { return rows_ * width_; }
  /// Room for 16 similarities of each row: fewer than the numbers of a candidate with its value, of which they save several.
  static Index room(Index rows) { return rows * 17; }

  /// Tells of this rank's candidates of a row, which are finite; the numbers were -infinity.
  void tell(Index r, const CandidateRow<Scalar>& row, CanonicalRows<Scalar>& rows, std::span<Scalar> numbers) const {
    numbers[at(r)] = rows.floor_of(row);
    const auto count = (std::min)(static_cast<std::size_t>((std::max)(each_, Index(1))), row.size());
    const std::span<Scalar> to = numbers.subspan(at(r) + 1 + static_cast<std::size_t>(own_), count);
    std::partial_sort_copy(row.values().begin(), row.values().end(), to.begin(), to.end(), std::greater<Scalar>());
  }
  /// Tells that a row is undecided.
  void tell_undecided(Index r, std::span<Scalar> numbers) const {
    numbers[at(r) + 1] = Scalar(Eigen::NumTraits<Scalar>::infinity());
  }

  /// The largest similarity of a row: +infinity if a rank has told that it is undecided.
  Scalar largest(Index r, std::span<const Scalar> numbers) const {
    const auto of_row = similarities(r, numbers);
    return *std::max_element(of_row.begin(), of_row.end());
  }

  /// The floor above which candidates of all ranks are gathered, of a row that is not undecided. `tops` is memory.
  Scalar gathering_floor(Index r, std::span<const Scalar> numbers, CanonicalRows<Scalar>& rows, CandidateRow<Scalar>& tops) const {
    if (each_ == 0) return rows.gathering_floor(largest(r, numbers), numbers[at(r)]);
    tops.clear();
    for (const Scalar z : similarities(r, numbers)) {
      if (z > -Scalar(Eigen::NumTraits<Scalar>::infinity())) tops.push(static_cast<KeyIndex>(tops.size()), z);
    }
    tops.set_floor(numbers[at(r)]);
    return rows.gathering_floor(largest(r, numbers), rows.floor_of(tops));
  }

 private:
  std::size_t at(Index r) const { return static_cast<std::size_t>(r * width_); }
  std::span<const Scalar> similarities(Index r, std::span<const Scalar> numbers) const {
    return numbers.subspan(at(r) + 1, static_cast<std::size_t>(width_ - 1));
  }

  Index rows_ = 0;
  Index each_ = 0;  ///< similarities of a rank
  Index own_ = 0;  ///< where this rank's begin
  Index width_ = 2;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
