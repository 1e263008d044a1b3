// The similarity may be left out before a mask, as of attend.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"

#include <type_traits>

using namespace nadaraya;

TEST_CASE("operators find out by concept whether a similarity or a mask follows the normalization", "[operator]") {
  const NadarayaWatson window{Biweight{}, Adaptive{}, SlidingWindow{7}};
  STATIC_REQUIRE(std::is_same_v<decltype(window), const NadarayaWatson<Biweight, Adaptive, DotProduct, SlidingWindow>>);
  REQUIRE(window.mask().window == 7);
  REQUIRE(!window.similarity().scale);

  const NadarayaWatson distance{Biweight{}, FixedBandwidth{0.5}, SquaredDistance{2.0}};
  STATIC_REQUIRE(std::is_same_v<decltype(distance), const NadarayaWatson<Biweight, FixedBandwidth, SquaredDistance, NoMask>>);
  REQUIRE(distance.similarity().scale == 2.0);

  const NadarayaWatson both{Gaussian{}, Adaptive{}, Causal{} & AdditiveBias{Alibi{0.5}}};
  STATIC_REQUIRE(std::is_same_v<std::remove_cvref_t<decltype(both.mask())>, Intersection<Causal, AdditiveBias<Alibi>>>);

  const Attention heads{Biweight{}, Adaptive{}, SlidingWindow{3}};
  STATIC_REQUIRE(std::is_same_v<decltype(heads), const Attention<Biweight, Adaptive, DotProduct, SlidingWindow>>);
  REQUIRE(heads.head(0).mask().window == 3);
  STATIC_REQUIRE(std::is_same_v<decltype(Attention{Biweight{}, Anchored{1.0}, Cosine{}}), Attention<Biweight, Anchored, Cosine, NoMask>>);

  const NadarayaWatson<Biweight, Adaptive, DotProduct, NoMask> braces(Biweight{}, Adaptive{}, {});
  REQUIRE(!braces.similarity().scale);
}
