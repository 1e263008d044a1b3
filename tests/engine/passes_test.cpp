// The loops of the dense rows, of the gradients and of the candidates: every vector tier that this
// machine runs against sums of long doubles, at every length around its width.
#include "tests/engine/every_tier.hpp"

#include <nadaraya/kernel/gaussian.hpp>
#include <nadaraya/kernel/rectified_polynomial.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>

using namespace nadaraya;
using namespace nadaraya::test;
using Real = long double;

namespace {

template <class T>
Real epsilon() {
  return std::numeric_limits<T>::epsilon();
}

template <class T>
T& at(std::vector<T>& x, Index j) {
  return x[static_cast<std::size_t>(j)];
}
template <class T>
Real real(const std::vector<T>& x, Index j) {
  return x[static_cast<std::size_t>(j)];
}

/// Was nothing written behind the first n?
template <class T>
bool untouched(const std::vector<T>& x, Index n) {
  return std::all_of(x.begin() + n, x.end(), [](T value) { return std::isnan(value); });
}

}  // namespace

TEMPLATE_TEST_CASE("profiles, coordinates and slopes in every tier", "[engine]", float, double) {
  using T = TestType;
  const auto check = [](auto loops, const auto& kernel, Index n, T width, Random& random) {
    const RowNormalizer<T> map{T(0.1), width, T(0.5), T(1.5)};
    const T edge = engine::edge_of<T>(kernel);
    const std::vector<T> z = numbers<T>(n, random);
    std::vector<T> t = z, profile = z, slope = z;
    loops.coordinates(map, t.data(), n);
    const T sum = loops.profiles(kernel, map, edge, profile.data(), n);
    loops.slopes(kernel, edge, T(0.75), t.data(), n, slope.data());
    REQUIRE(untouched(t, n));
    REQUIRE(untouched(profile, n));
    REQUIRE(untouched(slope, n));
    Real expected_sum = 0;
    for (Index j = 0; j < n; ++j) {
      const Real coordinate = (real(z, j) - Real(map.pivot)) / Real(width) + Real(map.offset);
      // |t| is at most about 3, and passes through three roundings.
      REQUIRE(std::abs(real(t, j) - coordinate) <= 8 * epsilon<T>());
      const Real expected = in_support(kernel, coordinate) ? kernel.profile(coordinate) : Real(0);
      REQUIRE(std::abs(real(profile, j) - expected) <= 64 * epsilon<T>() * (1 + expected));
      const Real expected_slope = profile_derivative(kernel, coordinate) / Real(0.75);
      REQUIRE(std::abs(real(slope, j) - expected_slope) <= 64 * epsilon<T>() * (1 + std::abs(expected_slope)));
      expected_sum += expected;
    }
    REQUIRE(std::abs(Real(sum) - expected_sum) <= 64 * epsilon<T>() * (1 + expected_sum));
  };
  Random random(17);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 0; n <= 40; ++n) {
      INFO(tier << ", n = " << n);
      for (const T width : {T(2), T(3)}) {
        check(loops, Epanechnikov{}, n, width, random);
        check(loops, Triweight{}, n, width, random);
        check(loops, Gaussian{}, n, width, random);
      }
    }
    check(loops, Biweight{}, 3000, T(3), random);
  });
}

TEMPLATE_TEST_CASE("moments and deviations in every tier", "[engine]", float, double) {
  using T = TestType;
  Random random(19);
  with_every_tier([&](auto loops, const char* tier) {
    std::vector<Index> lengths(41);
    for (Index n = 0; n <= 40; ++n) at(lengths, n) = n;
    lengths.push_back(3000);
    for (const Index n : lengths) {
      INFO(tier << ", n = " << n);
      std::vector<T> s = numbers<T>(n, random);
      const std::vector<T> g = numbers<T>(n, random);
      const T factor = T(0.3), origin = T(0.2), mean = T(-0.4);
      Real mass = 0, first_moment = 0, deviation = 0, size = 1;
      for (Index j = 0; j < n; ++j) {
        const Real x = real(s, j), away = real(g, j) - Real(origin);
        mass += x * Real(factor);
        first_moment += x * Real(factor) * away;
        deviation += x * (away - Real(mean));
        size += std::abs(x) * (std::abs(away) + 1);  // bounds the terms of all three sums
      }
      const Real tolerance = 16 * epsilon<T>() * size;
      const auto moments = loops.moments(s.data(), factor, g.data(), origin, n);
      REQUIRE(std::abs(Real(moments.mass) - mass) <= tolerance);
      REQUIRE(std::abs(Real(moments.first) - first_moment) <= tolerance);
      const std::vector<T> before = s;
      const T sum = loops.deviate(s.data(), g.data(), origin, mean, n);
      REQUIRE(std::abs(Real(sum) - deviation) <= tolerance);
      REQUIRE(untouched(s, n));
      for (Index j = 0; j < n; ++j) {
        const Real x = real(before, j), expected = x * (real(g, j) - Real(origin) - Real(mean));
        REQUIRE(std::abs(real(s, j) - expected) <= 8 * epsilon<T>() * std::abs(x) * (std::abs(real(g, j)) + 1));
      }
    }
  });
}

TEMPLATE_TEST_CASE("one number that is not finite is found at any place, in every tier", "[engine]", float, double) {
  using T = TestType;
  Random random(23);
  const T infinity = std::numeric_limits<T>::infinity();
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 0; n <= 70; ++n) {
      INFO(tier << ", n = " << n);
      std::vector<T> x = numbers<T>(n, random);  // NaN from n on
      REQUIRE(loops.all_finite(x.data(), n));
      for (Index j = 0; j < n; ++j) {
        const T kept = at(x, j);
        for (const T bad : {infinity, -infinity, std::numeric_limits<T>::quiet_NaN()}) {
          at(x, j) = bad;
          REQUIRE(!loops.all_finite(x.data(), n));
        }
        at(x, j) = kept;
      }
    }
  });
}

TEMPLATE_TEST_CASE("products of any width, of a transposed factor, and row by row", "[engine]", float, double) {
  using T = TestType;
  Random random(29);
  const Index rows = 7, depth = 9;
  with_every_tier([&](auto loops, const char* tier) {
    for (Index cols = 0; cols <= 70; ++cols) {
      INFO(tier << ", " << cols << " columns");
      const Index width = cols + 3;  // behind every row of c lies something that must stay
      const std::vector<T> a = numbers<T>(rows * depth, random), b = numbers<T>(depth * width, random);
      std::vector<T> a_transposed = a, c(static_cast<std::size_t>(rows * width), T(42)), c_transposed = c;
      for (Index i = 0; i < rows; ++i) {
        for (Index d = 0; d < depth; ++d) at(a_transposed, d * rows + i) = static_cast<T>(real(a, i * depth + d));
      }
      loops.multiply(rows, depth, cols, a.data(), depth, Index(1), b.data(), width, c.data(), width);
      loops.multiply(rows, depth, cols, a_transposed.data(), Index(1), rows, b.data(), width,
                                     c_transposed.data(), width);
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < width; ++j) {
          Real sum = 0, size = 0;
          for (Index d = 0; d < depth; ++d) {
            const Real term = real(a, i * depth + d) * real(b, d * width + j);
            sum += term;
            size += std::abs(term);
          }
          if (j >= cols) sum = 42;
          REQUIRE(std::abs(real(c, i * width + j) - sum) <= 9 * epsilon<T>() * size);
          REQUIRE(at(c, i * width + j) == at(c_transposed, i * width + j));
        }
      }
      // The rows of b against one vector of their width.
      const std::vector<T> y = numbers<T>(cols, random);
      std::vector<T> z = numbers<T>(depth, random);
      loops.products(b.data(), width, depth, cols, y.data(), z.data(), T(1));
      REQUIRE(untouched(z, depth));
      for (Index d = 0; d < depth; ++d) {
        Real sum = 0, size = 0;
        for (Index j = 0; j < cols; ++j) {
          sum += real(b, d * width + j) * real(y, j);
          size += std::abs(real(b, d * width + j) * real(y, j));
        }
        REQUIRE(std::abs(real(z, d) - sum) <= 16 * epsilon<T>() * size);
      }
    }
  });
}

TEMPLATE_TEST_CASE("equal rows have equal products, whatever they are multiplied with, in every tier", "[engine]", float, double) {
  using T = TestType;
  Random random(37);
  const T factor = T(0.3);
  with_every_tier([&](auto loops, const char* tier) {
    for (const Index cols : {0, 1, 3, 15, 16, 17, 33, 64, 70, 130}) {
      INFO(tier << ", " << cols << " columns");
      const Index n = 64;
      const std::vector<T> y = numbers<T>(6 * cols, random);
      std::vector<T> row = numbers<T>(cols, random);
      std::vector<T> x, panel(static_cast<std::size_t>(n * cols) + 1);
      for (Index j = 0; j < n; ++j) x.insert(x.end(), row.begin(), row.begin() + cols);
      x.push_back(T(0));
      for (Index d = 0; d < cols; ++d) std::fill_n(panel.begin() + d * n, n, at(row, d));
      // Row by row: any number of them, any of them, and those without weight left out.
      T expected;
      loops.products(row.data(), cols, Index(1), cols, y.data(), &expected, factor);
      std::vector<KeyIndex> keys = run_of_keys(21), places(static_cast<std::size_t>(n));
      for (Index j = 0; j < n; ++j) at(places, j) = static_cast<KeyIndex>(j);
      for (Index count = 1; count <= 21; ++count) {
        std::vector<T> z(static_cast<std::size_t>(count)), same(z.size(), expected);
        loops.products(x.data(), cols, count, cols, y.data(), z.data(), factor);
        REQUIRE(z == same);
        loops.scores(places.data(), count, keys.data(), x.data(), cols, cols, y.data(), z.data(), factor);
        REQUIRE(z == same);
        std::vector<T> p(z.size(), T(1)), g(z.size());
        at(p, count / 2) = T(0);
        loops.dots(keys.data(), p.data(), count, x.data(), cols, cols, y.data(), g.data());
        for (Index j = 0; j < count; ++j) REQUIRE(at(g, j) * factor == (j == count / 2 ? T(0) : expected));
      }
      // By panels: six queries, and any number of them.
      std::vector<std::vector<T>> z(6, std::vector<T>(static_cast<std::size_t>(n + slack)));
      std::vector<std::vector<KeyIndex>> key(6, std::vector<KeyIndex>(static_cast<std::size_t>(n + slack)));
      engine::Candidates<T> to[6];
      for (std::size_t i = 0; i < 6; ++i) {
        to[i] = engine::Candidates<T>{z[i].data(), key[i].data(), nullptr, -std::numeric_limits<T>::infinity(), T(0), ~std::uint64_t(0)};
      }
      loops.candidates(cols, y.data(), cols, panel.data(), KeyIndex(0), to, factor);
      for (Index rows = 1; rows <= 6; ++rows) {
        std::vector<T> all(static_cast<std::size_t>(rows * n) + 1, T(42));
        loops.score_panel(rows, cols, y.data(), cols, panel.data(), factor, all.data(), n);
        REQUIRE(all.back() == T(42));
        for (Index i = 0; i < rows; ++i) {
          REQUIRE(std::vector<T>(all.begin() + i * n, all.begin() + (i + 1) * n) == std::vector<T>(static_cast<std::size_t>(n), at(all, i * n)));
          REQUIRE(first(z[static_cast<std::size_t>(i)], n) == std::vector<T>(static_cast<std::size_t>(n), at(all, i * n)));
        }
      }
    }
  });
}

TEMPLATE_TEST_CASE("candidates of a panel are the visible keys above the floor, in every tier", "[engine]", float,
                   double) {
  using T = TestType;
  constexpr Index rows = 6, keys = 64, depth = 5, room = keys + 16;
  Random random(31);
  // On a grid of 1/64 every sum is exact, so that a tie with the floor is one.
  const auto on_grid = [&random](Index n) {
    std::vector<T> x(static_cast<std::size_t>(n));
    for (T& value : x) value = static_cast<T>(std::round(16 * random.normal()) / 16);
    return x;
  };
  const std::uint64_t views[rows] = {~std::uint64_t(0), 0, 1, std::uint64_t(1) << 63, 0x00ffff0000ffff00u, 0x5555555555555555u};
  with_every_tier([&](auto loops, const char* tier) {
    INFO(tier);
    const std::vector<T> a = on_grid(rows * depth), panel = on_grid(depth * keys), norm = on_grid(keys);
    const T slope = T(0.5);
    std::vector<std::vector<T>> z(rows, std::vector<T>(room));
    std::vector<std::vector<KeyIndex>> key(rows, std::vector<KeyIndex>(room));
    engine::Candidates<T> to[rows];
    Index ties = 0;
    const auto score = [&](Index i, Index j, T shift) {
      Real sum = 0;
      for (Index d = 0; d < depth; ++d) sum += real(a, i * depth + d) * real(panel, d * keys + j);
      return sum + Real(slope) * real(norm, j) + Real(shift);
    };
    for (Index i = 0; i < rows; ++i) {
      const auto row = static_cast<std::size_t>(i);
      const T shift = static_cast<T>(i);
      const T floor = static_cast<T>(score(i, 3, shift));  // key 3 ties
      to[i] = engine::Candidates<T>{z[row].data(), key[row].data(), nullptr, floor, shift, views[i]};
    }
    loops.shifted_candidates(depth, a.data(), depth, panel.data(), norm.data(), slope, KeyIndex(100), to, T(1));
    for (Index i = 0; i < rows; ++i) {
      const auto row = static_cast<std::size_t>(i);
      Index found = 0;
      for (Index j = 0; j < keys; ++j) {
        if (((views[i] >> j) & 1u) == 0) continue;
        const Real expected = score(i, j, static_cast<T>(i));
        ties += expected == Real(to[i].floor) ? 1 : 0;
        if (!(expected > Real(to[i].floor))) continue;
        REQUIRE(at(key[row], found) == static_cast<KeyIndex>(100 + j));
        REQUIRE(real(z[row], found) == expected);
        ++found;
      }
      REQUIRE(to[i].z - z[row].data() == found);
      REQUIRE(to[i].key - key[row].data() == found);
    }
    REQUIRE(ties > 0);
  });
}
