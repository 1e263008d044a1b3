// The recorded pairs of a block on the way back, sorted by ranges of keys.
#pragma once

#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <numeric>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Ranges of keys for whose gradients different threads may sum: enough for some threads, and such that the gradients of
/// one stay in the second-level cache. They hold a power of two of keys.
class KeyRanges {
 public:
  static constexpr std::size_t most = 16;

  explicit KeyRanges(Index keys)
      : keys_(keys),
        shift_(static_cast<int>(std::bit_width(
            static_cast<std::size_t>((std::max)(least_keys, (keys + Index(most) - 1) / Index(most)) - 1)))) {}

  Index count() const { return (keys_ + (Index(1) << shift_) - 1) >> shift_; }
  Index first(Index range) const { return range << shift_; }
  Index last(Index range) const { return (std::min)((range + 1) << shift_, keys_); }
  std::size_t of(KeyIndex key) const { return static_cast<std::size_t>(key >> shift_); }

 private:
  static constexpr Index least_keys = 256;

  Index keys_;
  int shift_;
};

/// Pairs, range of keys after range, the queries of each in order.
template <class Scalar>
class PairLists {
 public:
  explicit PairLists(Arena& memory) : pairs_(&memory) {}

  /// Makes room for a pair with each of the keys.
  void open(std::span<const KeyIndex> keys, const KeyRanges& ranges) {
    pairs_.resize(keys.size());
    std::array<std::size_t, KeyRanges::most> counts{};
    for (const KeyIndex key : keys) ++counts[ranges.of(key)];
    std::exclusive_scan(counts.begin(), counts.end(), ends_.begin(), std::size_t(0));
  }
  void add(const Pair<Scalar>& pair, const KeyRanges& ranges) { pairs_[ends_[ranges.of(pair.key)]++] = pair; }

  std::span<const Pair<Scalar>> range(Index range) const {
    const auto i = static_cast<std::size_t>(range);
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::span<const Pair<Scalar>>(pairs_.data() + begin, ends_[i] - begin);
  }

 private:
  LineVector<Pair<Scalar>> pairs_;
  std::array<std::size_t, KeyRanges::most> ends_{};  ///< of the ranges, as far as they are filled
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
