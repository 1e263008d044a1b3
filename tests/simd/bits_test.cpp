// Counting in masks.
#include <nadaraya/simd/bits.hpp>

#include "tests/support/catch.hpp"

#include <bit>

TEST_CASE("bits of every mask of 16 lanes", "[simd]") {
  bool right = nadaraya::simd::count_ones(0u) == 0;
  for (unsigned mask = 1; mask <= 0xffffu; ++mask) {
    right = right && nadaraya::simd::count_ones(mask) == std::popcount(mask);
    right = right && nadaraya::simd::lowest_one(mask) == std::countr_zero(mask);
  }
  REQUIRE(right);
}
