// Random choices, one after the other.
#pragma once

#include <nadaraya/mosaic/counter_random.hpp>

#include <cstdint>

namespace program {

/// The choices of one example: a function of seed, number and purpose, so that an interrupted run repeats them.
class Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t number, std::uint64_t purpose) : random_(seed, number, purpose) {}

  /// One of 0 .. n - 1, n >= 1. The bias is below n / 2^64.
  template <class Integer>
  Integer below(Integer n) {
    return static_cast<Integer>(random_[next_++] % static_cast<std::uint64_t>(n));
  }

 private:
  nadaraya::mosaic::CounterRandom random_;
  std::uint64_t next_ = 0;
};

}  // namespace program
