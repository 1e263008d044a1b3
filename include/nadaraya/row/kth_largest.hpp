// The k-th largest number of a row, and the k largest candidates.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// An interval (low, high] of the numbers of a row, halved until it holds few of them.
template <class Scalar>
class KthLargest {
 public:
  KthLargest(RowView<Scalar> z, std::size_t k) : z_(z), k_(static_cast<Index>(k)) {}

  /// The k-th largest, if no number is NaN or infinite and it was found in some sixty counts of the row.
  bool find(Scalar& result) {
    const Scalar size = loops_.largest_size(z_.data(), n());
    if (size < Scalar(0)) return false;
    low_ = Scalar(-size * (1 + std::numeric_limits<Scalar>::epsilon()) - (std::numeric_limits<Scalar>::min)());
    if (!is_finite(low_)) return false;  // nothing lies below the smallest number
    high_ = loops_.largest(z_.data(), n());
    for (int counts = 0; counts < most_counts && above_low_ - above_high_ > few; ++counts) {
      const Scalar middle = low_ / 2 + high_ / 2;
      if (!(low_ < middle && middle < high_)) {
        // Neighbours: all numbers in the interval are its upper end.
        result = high_;
        return true;
      }
      const Index above = loops_.count_above(z_.data(), n(), middle);
      (above < k_ ? high_ : low_) = middle;
      (above < k_ ? above_high_ : above_low_) = above;
    }
    if (above_low_ - above_high_ > few) return false;
    result = of_few();
    return true;
  }

 private:
  static constexpr Index few = 8;
  static constexpr int most_counts = 64;

  Index n() const { return static_cast<Index>(z_.size()); }

  /// By rank among those in the interval.
  Scalar of_few() const {
    KeyIndex places[few + engine::pack_slack];
    const Index found = loops_.between(z_.data(), n(), low_, high_, places);
    Scalar left[few];
    for (Index i = 0; i < found; ++i) left[i] = z_[static_cast<std::size_t>(places[i])];
    for (Index i = 0; i < found; ++i) {
      Index rank = above_high_;
      for (Index j = 0; j < found; ++j) rank += left[i] < left[j] || (j < i && left[j] == left[i]) ? 1 : 0;
      if (rank == k_ - 1) return left[i];
    }
    return high_;
  }

  RowView<Scalar> z_;
  Index k_;
  const engine::LoopTable<Scalar>& loops_ = engine::loops<Scalar>();
  Scalar low_ = Scalar(0), high_ = Scalar(0);
  Index above_low_ = n(), above_high_ = 0;
};

/// The k-th largest of n >= k >= 1 numbers; any of them if one is NaN. O(n).
template <class Scalar>
Scalar kth_largest(RowView<Scalar> z, std::size_t k) {
  if constexpr (engine::vectorized<Scalar>) {
    Scalar result;
    if (KthLargest<Scalar>(z, k).find(result)) return result;
  }
  std::vector<Scalar> copy(z.begin(), z.end());
  const auto kth = copy.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(copy.begin(), kth, copy.end(), std::greater<Scalar>());
  return *kth;
}

/// Keeps the k largest of more than k candidates, of equal ones those that come first, in their order. O(n).
template <class Scalar>
void keep_largest(CandidateRow<Scalar>& row, std::size_t k) {
  const Scalar last = kth_largest(row.values(), k);
  if constexpr (engine::vectorized<Scalar>) {
    const Scalar below = std::nextafter(last, -std::numeric_limits<Scalar>::infinity());
    row.resize(static_cast<std::size_t>(engine::loops<Scalar>().prune(row.value_data(), row.key_data(),
                                                                      static_cast<Index>(row.size()), below)));
    if (row.size() == k) return;
  }
  std::size_t ties = k;
  for (const Scalar& z : row.values()) ties -= last < z ? 1 : 0;
  Scalar* const z = row.value_data();
  KeyIndex* const keys = row.key_data();
  std::size_t kept = 0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    const bool larger = last < z[j], tied = !larger && !(z[j] < last);
    if (!larger && !(tied && ties > 0)) continue;
    if (tied) --ties;
    z[kept] = z[j];
    keys[kept] = keys[j];
    ++kept;
  }
  row.resize(kept);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
