// Whether arrays share memory, against their addresses listed one by one.
#include <nadaraya/detail/footprint.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <vector>

using namespace nadaraya;
using detail::Footprint;

namespace {

struct Strided {
  Index begin;  ///< in bytes
  std::array<Index, 3> sizes, strides;
};

template <class T>
Footprint footprint(const char* memory, const Strided& s) {
  Footprint print(memory + s.begin, sizeof(T));
  for (std::size_t d = 0; d < 3; ++d) print.along(s.sizes[d], s.strides[d]);
  return print;
}

template <class T>
std::vector<Index> bytes(const Strided& s) {
  std::vector<Index> all;
  for (Index i = 0; i < s.sizes[0]; ++i) {
    for (Index j = 0; j < s.sizes[1]; ++j) {
      for (Index k = 0; k < s.sizes[2]; ++k) {
        const Index first = s.begin + Index(sizeof(T)) * (i * s.strides[0] + j * s.strides[1] + k * s.strides[2]);
        for (Index b = 0; b < Index(sizeof(T)); ++b) all.push_back(first + b);
      }
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("arrays share memory if an address is in both", "[footprint]") {
  static const std::array<char, 4096> memory{};
  test::Random random(1);
  const auto strided = [&] {
    Strided s{2048 + random.below(40), {}, {}};
    for (std::size_t d = 0; d < 3; ++d) {
      s.sizes[d] = random.below(5);
      s.strides[d] = random.below(31) - 12;
    }
    return s;
  };
  int shared = 0, apart = 0, collisions = 0;
  for (int round = 0; round < 20000; ++round) {
    const Strided a = strided(), b = strided();
    const auto in_a = bytes<float>(a), in_b = bytes<short>(b);
    std::vector<Index> both;
    std::set_intersection(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), std::back_inserter(both));
    const bool share = Footprint::share(footprint<float>(memory.data(), a), footprint<short>(memory.data(), b));
    CAPTURE(round);
    REQUIRE(share == !both.empty());
    REQUIRE(Footprint::share(footprint<short>(memory.data(), b), footprint<float>(memory.data(), a)) == share);
    (share ? shared : apart) += in_a.empty() || in_b.empty() ? 0 : 1;
    const bool collides = std::adjacent_find(in_a.begin(), in_a.end()) != in_a.end();
    REQUIRE(footprint<float>(memory.data(), a).collides() == collides);
    collisions += collides ? 1 : 0;
  }
  REQUIRE(shared > 1000);
  REQUIRE(apart > 1000);
  REQUIRE(collisions > 1000);
  REQUIRE(!Footprint::share(Footprint(), Footprint(memory.data(), 4)));
}
