// Memory of a call that ranks exchange numbers in, taken before they wait for each other.
#pragma once

#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Queries whose candidates travel in one round, and of those whose keys all have weight.
inline constexpr Index batch_rows = 960;
inline constexpr Index dense_batch_rows = 96;

/// Numbers to reduce, and a place for the status of the ranks after them; messages to each rank.
template <class Scalar>
struct Buffers {
  std::vector<Scalar> numbers;
  std::vector<double> sums;
  MessagesToRanks to_ranks;

  /// Room for that many numbers.
  void reserve(Index count, int ranks) {
    to_ranks.begin(ranks);
    numbers.reserve(static_cast<std::size_t>(count + 1));
  }
  /// Room for that many sums.
  void reserve_sums(Index count) { sums.reserve(static_cast<std::size_t>(2 * count + 1)); }

  /// Take no memory that was reserved.
  void begin_numbers(Index count, const Scalar& value) { numbers.assign(static_cast<std::size_t>(count + 1), value); }
  void begin_sums(Index count) { sums.assign(static_cast<std::size_t>(2 * count + 1), 0.0); }

  /// The parts of `width` sums of a row, as SplitAddition adds them, and such a sum.
  double* high(Index row, Index width) { return sums.data() + 2 * row * width; }
  double* low(Index row, Index width) { return high(row, width) + width; }
  double total(Index row, Index width, Index i) { return high(row, width)[i] + low(row, width)[i]; }
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
