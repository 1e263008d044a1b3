// Elementary functions of packs, at every width.
#include <nadaraya/simd/math.hpp>

#include "tests/simd/packs.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <limits>

TEMPLATE_TEST_CASE("the exponential of a pack", "[simd]", float, double) {
  using T = TestType;
  nadaraya::test::with_every_pack<T>([](auto pack, const char* name) {
    using P = decltype(pack);
    INFO(P::lanes << " lanes, " << name);
    long double worst = 0;
    P x(T(0));
    const auto check = [&] {
      const P found = exp(x);
      for (std::size_t j = 0; j < P::lanes; ++j) {
        const long double error = std::abs(found.v[j] / std::exp(static_cast<long double>(x.v[j])) - 1);
        if (!(error <= worst)) worst = error;
      }
    };
    std::size_t lane = 0;
    for (double at = -80; at < 80; at += 0.0137) {
      x.v[lane] = static_cast<T>(at);
      lane = (lane + 1) % P::lanes;
      if (lane == 0) check();
    }
    check();
    REQUIRE(worst <= 2 * static_cast<long double>(std::numeric_limits<T>::epsilon()));

    const T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    for (std::size_t j = 0; j < P::lanes; ++j) {
      const auto exp_of = [&](T value) {
        P one(T(1));
        one.v[j] = value;
        return T(exp(one).v[j]);
      };
      INFO("lane " << j);
      REQUIRE(exp_of(T(0)) == T(1));
      REQUIRE(exp_of(-infinity) == T(0));
      REQUIRE(exp_of(infinity) == infinity);
      REQUIRE(exp_of(std::numeric_limits<T>::lowest()) == T(0));
      REQUIRE(exp_of(std::numeric_limits<T>::max()) == infinity);
      REQUIRE(std::isnan(exp_of(nan)));
      REQUIRE(exp_of(std::log(std::numeric_limits<T>::denorm_min()) + T(0.5)) > T(0));
    }
  });
}
