// The choice of a tier, and of its products of whole numbers. CTest runs this again with NADARAYA_TIER or
// NADARAYA_INTEGERS set, and on emulated machines, and says what must come of it in NADARAYA_EXPECTED_TIER.
#include <nadaraya/simd/int_dot_isa.hpp>
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

TEST_CASE("the chosen products of whole numbers are the tier's best, or the best up to those that were asked for", "[simd][tier]") {
  REQUIRE(runs(IntDotIsa::plain));
  IntDotIsa best = IntDotIsa::plain;
  const char* wanted = std::getenv("NADARAYA_INTEGERS");
  bool beyond = wanted != nullptr && std::string(wanted) == name(IntDotIsa::plain);
  for (const IntDotIsa isa : {IntDotIsa::avx2, IntDotIsa::avx_vnni, IntDotIsa::avx512_vnni, IntDotIsa::avx512_vbmi2, IntDotIsa::amx}) {
    if (!beyond && runs(isa) && tier() >= tier_of(isa)) best = isa;
    // What was asked for may be missing: then the best of all is chosen.
    beyond = beyond || (wanted != nullptr && std::string(wanted) == name(isa) && best == isa);
  }
  REQUIRE(std::string(name(int_dot_isa())) == name(best));
  REQUIRE(tier() >= tier_of(int_dot_isa()));
  if (const char* expected = std::getenv("NADARAYA_EXPECTED_INTEGERS")) REQUIRE(std::string(name(int_dot_isa())) == expected);
}
