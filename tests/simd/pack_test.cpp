// Packs do to each lane what the operators do to a scalar, however the lanes are held.
#include <nadaraya/simd/pack.hpp>

#include "tests/simd/packs.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace simd = nadaraya::simd;
using nadaraya::test::with_every_pack;

namespace {

/// Equal, or both NaN.
template <class T>
bool same(T a, T b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

}  // namespace

TEMPLATE_TEST_CASE("a pack is computed on lane by lane", "[simd]", float, double) {
  using T = TestType;
  const T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const std::vector<T> values{T(0), T(-0.75), T(3), T(1) / T(3), T(-1e-30), infinity, -infinity, nan, T(0.1)};
  with_every_pack<T>([&](auto pack, const char* name) {
    using P = decltype(pack);
    INFO(P::lanes << " lanes, " << name);
    static_assert(sizeof(P) == P::lanes * sizeof(T));
    // Each pair of values meets in each lane.
    for (std::size_t shift = 0; shift < values.size(); ++shift) {
      for (std::size_t first = 0; first < values.size(); ++first) {
        P a, b;
        for (std::size_t j = 0; j < P::lanes; ++j) {
          a.v[j] = values[(first + j) % values.size()];
          b.v[j] = values[(first + j + shift) % values.size()];
        }
        const P copy = a, x(T(5)), y(T(7));
        const P sum = a + b, difference = a - b, product = a * b, quotient = a / b, negative = -a;
        const P less = where_less(a, b, x, y), at_most = where_at_most(a, b, x, y);
        bool right = true;
        for (std::size_t j = 0; j < P::lanes; ++j) {
          const T s = a.v[j], t = b.v[j];
          right = right && same<T>(copy.v[j], s) && same<T>(sum.v[j], s + t) && same<T>(difference.v[j], s - t) &&
                  same<T>(product.v[j], s * t) && same<T>(quotient.v[j], s / t) && same<T>(negative.v[j], -s) &&
                  std::signbit(T(negative.v[j])) != std::signbit(s);
          right = right && less.v[j] == (s < t ? T(5) : T(7)) && at_most.v[j] == (s <= t ? T(5) : T(7));
        }
        INFO("values from " << first << ", apart " << shift);
        REQUIRE(right);
      }
    }
  });
}

TEMPLATE_TEST_CASE("packs exchange the lanes whose numbers have a bit", "[simd]", float, double) {
  using T = TestType;
  with_every_pack<T>([&](auto pack, const char* name) {
    using P = decltype(pack);
    INFO(P::lanes << " lanes, " << name);
    if constexpr (P::lanes >= 2) {
      constexpr std::size_t bit = P::lanes / 2;
      P a, b;
      for (std::size_t j = 0; j < P::lanes; ++j) {
        a.v[j] = static_cast<T>(j);
        b.v[j] = static_cast<T>(100 + j);
      }
      simd::exchange<bit>(a, b);
      for (std::size_t j = 0; j < P::lanes; ++j) {
        REQUIRE(a.v[j] == static_cast<T>((j & bit) != 0 ? 100 + j - bit : j));
        REQUIRE(b.v[j] == static_cast<T>((j & bit) != 0 ? 100 + j : j + bit));
      }
    }
  });
}

TEST_CASE("the default is what the compiler has", "[simd]") {
#if NADARAYA_HAS_VECTORS
  REQUIRE(std::is_same_v<simd::Pack<float, 16>, simd::Pack<float, 16, simd::Vectors>>);
#else
  REQUIRE(std::is_same_v<simd::Pack<float, 16>, simd::Pack<float, 16, simd::Arrays>>);
#endif
}
