// The choice of a tier. CTest runs this again with NADARAYA_TIER set, and on emulated machines, and
// says what must come of it in NADARAYA_EXPECTED_TIER.
#include <nadaraya/simd/tier.hpp>

#include "tests/support/catch.hpp"

#include <cstdlib>
#include <string>

using namespace nadaraya::simd;

TEST_CASE("tiers have the names by which they are asked for", "[simd]") {
  REQUIRE(std::string(name(Tier::baseline)) == "baseline");
  REQUIRE(std::string(name(Tier::avx2)) == "avx2");
  REQUIRE(std::string(name(Tier::avx512)) == "avx512");
}

TEST_CASE("the chosen tier is the best, or the best up to the one that was asked for", "[simd][tier]") {
  REQUIRE(runs(Tier::baseline));
  Tier best = Tier::baseline;
  const char* wanted = std::getenv("NADARAYA_TIER");
  for (const Tier tier : {Tier::avx2, Tier::avx512}) {
    const bool beyond = wanted != nullptr && (std::string(wanted) == "baseline" ||
                                              (std::string(wanted) == "avx2" && tier == Tier::avx512));
    if (runs(tier) && !beyond) best = tier;
  }
  REQUIRE(std::string(name(tier())) == name(best));
  if (const char* expected = std::getenv("NADARAYA_EXPECTED_TIER")) REQUIRE(std::string(name(tier())) == expected);
}
