// One case for each kernel of the library, and one written here, as a user would.
#include "tests/support/laws.hpp"
#include "tests/support/policies.hpp"

using namespace nadaraya;

TEST_CASE("laws: uniform", "[laws]") { test::check_all_laws(Uniform{}); }
TEST_CASE("laws: Epanechnikov", "[laws]") { test::check_all_laws(Epanechnikov{}); }
TEST_CASE("laws: biweight", "[laws]") { test::check_all_laws(Biweight{}); }
TEST_CASE("laws: triweight", "[laws]") { test::check_all_laws(Triweight{}); }
TEST_CASE("laws: rectified polynomial of degree 7", "[laws]") { test::check_all_laws(RectifiedPolynomial<7>{}); }
TEST_CASE("laws: rectified power", "[laws]") {
  for (const double r : {1.0, 2.0, 2.5, 10.0, 16.5, 300.0}) test::check_all_laws(RectifiedPower::with_exponent(r));
}
TEST_CASE("laws: steep rectified power", "[laws]") {
  for (const double r : {0.6, 0.9}) test::check_all_laws(RectifiedPower::with_exponent(r));
}
TEST_CASE("laws: Gaussian", "[laws]") { test::check_all_laws(Gaussian{}); }
TEST_CASE("laws: a kernel of the user's own", "[laws]") { test::check_all_laws(test::Custom{}); }

TEST_CASE("RectifiedPower refuses what is no exponent", "[errors]") {
  REQUIRE_THROWS_AS(RectifiedPower::with_alpha(1.0), std::invalid_argument);
  REQUIRE_THROWS_AS(RectifiedPower::with_alpha(std::nan("")), std::invalid_argument);
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    REQUIRE_THROWS_AS(RectifiedPower::with_exponent(bad), std::invalid_argument);
  }
  REQUIRE(std::abs(RectifiedPower::with_alpha(1.5).exponent() - 2.0) <= 1e-15);
}

TEST_CASE("RectifiedPower refuses an exponent that the scalar in use cannot hold", "[errors]") {
  for (const double exponent : {1e39, 1e-39, 1e300, 1e-300}) {
    const RectifiedPower kernel = RectifiedPower::with_exponent(exponent);
    REQUIRE_THROWS_AS(kernel.validate<float>(), std::invalid_argument);
    REQUIRE_NOTHROW(kernel.validate<double>());
  }
}
