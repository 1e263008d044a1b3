// Random numbers that are a function of where they are wanted.
#pragma once

#include <cstdint>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// The numbers of one place in a run: number i is a hash of seed, step, site and i (the finalizer of
/// SplitMix64, Steele, Lea & Flood 2014). Nothing need be remembered, so that a run repeats for any number of
/// threads, and when it is interrupted and resumed.
class CounterRandom {
 public:
  /// A sequence of its own for each seed, step and site.
  CounterRandom(std::uint64_t seed, std::uint64_t step, std::uint64_t site) : key_(mix(mix(mix(seed) + step) + site)) {}

  std::uint64_t operator[](std::uint64_t i) const { return mix(key_ + i); }  ///< The i-th of 64 random bits.

 private:
  static std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  std::uint64_t key_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
