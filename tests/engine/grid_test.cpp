// The grid: it finds the points within a radius, its loops in every tier, and how far a squared
// distance reaches.
#include <nadaraya/engine/grid_lookup.hpp>
#include <nadaraya/similarity/squared_distance.hpp>

#include "tests/engine/every_tier.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::test;
using Real = long double;

namespace {

template <class T>
engine::View<T> view(const RowMatrix<T>& m) {
  return engine::View<T>{m.data(), m.rows(), m.cols(), m.cols()};
}

template <class T>
Real distance(const T* a, const T* b, Index n) {
  Real square = 0;
  for (Index d = 0; d < n; ++d) square += (Real(a[d]) - Real(b[d])) * (Real(a[d]) - Real(b[d]));
  return std::sqrt(square);
}

/// Does the grid find all points within a radius of a query, none twice, and none that is clearly farther?
template <class T>
void check_near(const engine::Grid<T>& grid, const RowMatrix<T>& points, const T* q, T radius) {
  engine::NearKeys near;
  const Index count = grid.around(q, radius, near);
  std::vector<KeyIndex> found(near.keys.begin(), near.keys.begin() + count);
  for (std::size_t j = 0; j < found.size(); ++j) {
    T point[3];
    grid.copy_point(near.positions[j], point);
    REQUIRE(std::equal(point, point + points.cols(), points.row(found[j]).data()));
  }
  std::sort(found.begin(), found.end());
  REQUIRE(std::adjacent_find(found.begin(), found.end()) == found.end());
  std::size_t missed = 0, strays = 0;
  for (Index j = 0; j < points.rows(); ++j) {
    const bool has = std::binary_search(found.begin(), found.end(), static_cast<KeyIndex>(j));
    if (!points.row(j).allFinite()) {
      strays += has;
      continue;
    }
    const Real at = distance(q, points.row(j).data(), points.cols());
    missed += !has && at <= Real(radius);
    strays += has && at > Real(radius) * (1 + 32 * Real(std::numeric_limits<T>::epsilon()));
  }
  REQUIRE(missed == 0);
  REQUIRE(strays == 0);
}

/// Points of several kinds, the cells of some of whose coordinates begin there exactly.
template <class T>
RowMatrix<T> some_points(int kind, Index n, Index dimension, T radius, Random& random) {
  RowMatrix<T> x = random.normal<T>(n, dimension, 10 * double(radius));
  if (kind == 1) x = (x / radius).array().round() * radius;            // on the borders of cells
  if (kind == 2) x.col(random.below(dimension)).setConstant(radius);  // in a plane
  if (kind == 3) x.bottomRows(n / 2) = x.topRows(n / 2).eval();      // twice
  if (kind == 4) x.array() += T(1e4) * radius;                        // far from zero
  if (kind == 5) {                                                   // outliers
    for (Index j = 0; j < n; j += 7) x(j, random.below(dimension)) *= T(random.uniform() < 0.5 ? 1e30 : 1e7);
  }
  if (kind == 5 && n % 4 == 0) {  // as far as numbers go
    x(0, 0) = std::numeric_limits<T>::max();
    x(1, 0) = -std::numeric_limits<T>::max();
  }
  if (kind == 6) {  // not finite
    x(random.below(n), 0) = std::numeric_limits<T>::quiet_NaN();
    x(random.below(n), dimension - 1) = -std::numeric_limits<T>::infinity();
  }
  return x;
}

}  // namespace

TEMPLATE_TEST_CASE("a grid finds the points within a radius", "[engine][grid][sweep]", float, double) {
  using T = TestType;
  Random random(3);
  for (int trial = 0; trial < (test::sanitized ? 84 : 300); ++trial) {
    const Index dimension = 1 + trial % 3;
    const int kind = trial % 7;
    const Index n = 2 + 2 * random.below(200);
    const T radius = T(std::exp2(std::floor(20 * random.normal())) * (random.uniform() < 0.5 ? 1.0 : 0.7));
    INFO("trial " << trial << ", " << n << " points in " << dimension << " dimensions, kind " << kind << ", radius "
                  << radius);
    const RowMatrix<T> points = some_points(kind, n, dimension, radius, random);
    const engine::Grid<T> grid(view(points), radius);
    for (int i = 0; i < 20; ++i) {
      RowMatrix<T> q = random.normal<T>(1, dimension, 10 * double(radius));
      const Index j = random.below(n);
      if (i % 2 == 0 && points.row(j).allFinite()) q = points.row(j);
      // From a point to its neighbour at exactly the radius; and from where nothing is.
      if (i % 4 == 0) q(random.below(dimension)) += i % 8 == 0 ? radius : -radius;
      if (i == 19) q.setConstant(T(-1e30));
      if (i == 18) q.setConstant(std::numeric_limits<T>::max() * T(trial % 2 == 0 ? 1 : -1));
      check_near(grid, points, q.data(), radius);
      check_near(grid, points, q.data(), T(2.5) * radius);  // farther than the grid was made for
      check_near(grid, points, q.data(), T(0.1) * radius);
    }
  }
}

TEST_CASE("an order by place has every row once, and neighbours near each other", "[engine][grid]") {
  Random random(8);
  for (const Index dimension : {1, 2, 3}) {
    RowMatrix<float> x(2000, dimension);
    for (float& value : x.reshaped()) value = static_cast<float>(random.uniform());
    x(17, 0) = std::numeric_limits<float>::quiet_NaN();
    x(4, 0) = 1e30f;
    const auto order = engine::morton_order(view(x), 0.1f);
    auto sorted = order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<KeyIndex> all(2000);
    std::iota(all.begin(), all.end(), 0);
    REQUIRE(sorted == all);
    int jumps = 0;
    for (std::size_t i = 1; i < order.size(); ++i) {
      jumps += !((x.row(order[i]) - x.row(order[i - 1])).norm() <= 0.4f);
    }
    REQUIRE(jumps < 100);
  }
}

TEMPLATE_TEST_CASE("distances and ranks in every tier", "[engine][grid]", float, double) {
  using T = TestType;
  Random random(5);
  with_every_tier([&](auto loops, const char* tier) {
    for (Index n = 0; n <= 70; ++n) {
      INFO(tier << ", n = " << n);
      // Multiples of 1/8: squares and sums are exact.
      std::vector<T> x = numbers<T>(n, random), y = numbers<T>(n, random);
      for (auto* axis : {&x, &y}) {
        for (T& value : *axis) value = std::round(value * 8) / 8;
      }
      const std::vector<KeyIndex> keys = run_of_keys(n);
      std::vector<KeyIndex> found(keys.size(), -1), places(keys.size(), -1);
      const T q[2] = {T(0.125), T(-0.25)};
      const T* axes[2] = {x.data(), y.data()};
      const Index count =
          loops.within(2, axes, keys.data(), KeyIndex(100), n, q, T(1), found.data(), places.data());
      std::vector<KeyIndex> expected, expected_places;
      for (Index j = 0; j < n; ++j) {
        const T a = x[std::size_t(j)] - q[0], b = y[std::size_t(j)] - q[1];
        if (a * a + b * b > T(1)) continue;
        expected.push_back(keys[std::size_t(j)]);
        expected_places.push_back(static_cast<KeyIndex>(100 + j));
      }
      REQUIRE(first(found, count) == expected);
      REQUIRE(first(places, count) == expected_places);

      std::vector<KeyIndex> shuffled = keys, ranks(keys.size(), -1);
      for (Index j = n; j > 1; --j) std::swap(shuffled[std::size_t(j - 1)], shuffled[std::size_t(random.below(j))]);
      loops.ranks(shuffled.data(), n, ranks.data());
      for (Index j = 0; j < n; ++j) REQUIRE(shuffled[std::size_t(j)] == 3 * ranks[std::size_t(j)] + 1);
      std::vector<std::uint64_t> bits(4);
      std::vector<KeyIndex> before(4), ranks_by_bits(keys.size(), -1);
      loops.ranks_by_bits(shuffled.data(), n, Index(4), bits.data(), before.data(), ranks_by_bits.data());
      REQUIRE(first(ranks_by_bits, n) == first(ranks, n));
    }
  });
}

TEMPLATE_TEST_CASE("a squared distance reaches no farther than it says", "[engine][grid][sweep]", float, double) {
  using T = TestType;
  const T epsilon = std::numeric_limits<T>::epsilon();
  Random random(6);
  int above = 0, below = 0;
  for (int trial = 0; trial < 200000; ++trial) {
    const Index dimension = 1 + trial % 5;
    const SquaredDistance similarity{trial % 3 == 0 ? 1.0 : std::exp(3 * random.normal())};
    const T floor = -T(std::exp(10 * random.normal()));
    const T radius = similarity.radius(floor, dimension);
    // A pair at about the distance where the similarity falls to the floor.
    const RowMatrix<T> q = random.normal<T>(1, dimension, trial % 2 == 0 ? 0.0 : 1e-3 * double(radius));
    RowMatrix<T> k = random.normal<T>(1, dimension);
    k *= std::sqrt(-floor / T(similarity.scale)) / k.norm() * (T(1) + T(random.below(13) - 6) * epsilon);
    k += q;
    if (similarity.score(q.row(0), k.row(0)) > floor) {
      ++above;
      REQUIRE(distance(q.data(), k.data(), dimension) <= Real(radius));
    } else {
      ++below;
    }
    // Not much farther either.
    REQUIRE(Real(radius) * Real(radius) * Real(T(similarity.scale)) <= -Real(floor) * (1 + 64 * Real(epsilon)));
  }
  REQUIRE(above > 40000);
  REQUIRE(below > 40000);
}

TEMPLATE_TEST_CASE("a radius that is not known is infinite", "[engine][grid]", float, double) {
  using T = TestType;
  const T infinity = std::numeric_limits<T>::infinity();
  const T tiny = std::numeric_limits<T>::min();
  for (const T floor : {-infinity, infinity, T(0), T(1), std::numeric_limits<T>::quiet_NaN(), -tiny, T(-1) / tiny}) {
    REQUIRE(SquaredDistance{}.radius(floor, 2) == infinity);
  }
  for (const double scale : {1e-320, 1e300, 1e-45, 1e38}) {
    if (sizeof(T) == 8 && scale > 1e-300 && scale < 1e290) continue;
    REQUIRE(SquaredDistance{scale}.radius(T(-1), 2) == infinity);
  }
}

TEST_CASE("entries are sorted, few of them and many", "[engine][grid]") {
  Random random(9);
  for (const Index n : {0, 1, 16, 63, 64, 65, 128, 256, 1000}) {
    for (const Index spread : {1, 2, 1000}) {
      engine::NearKeys near;
      near.reserve(n);
      std::vector<float> z(std::size_t(n) + 16);
      CandidateRow<float> row;
      for (Index j = 0; j < n; ++j) near.keys[std::size_t(j)] = static_cast<KeyIndex>(spread * j);
      for (Index j = n; j > 1; --j) std::swap(near.keys[std::size_t(j - 1)], near.keys[std::size_t(random.below(j))]);
      for (Index j = 0; j < n; ++j) z[std::size_t(j)] = static_cast<float>(near.keys[std::size_t(j)]) + 0.5f;
      engine::sort_by_key(near.keys.data(), z.data(), n, spread * n, near, row);
      REQUIRE(row.size() == std::size_t(n));
      for (std::size_t j = 0; j < row.size(); ++j) {
        REQUIRE(row.keys()[j] == static_cast<KeyIndex>(spread * Index(j)));
        REQUIRE(row.values()[j] == static_cast<float>(row.keys()[j]) + 0.5f);
      }
    }
  }
}

TEST_CASE("a grid is for few dimensions, many queries and short reaches", "[engine][grid]") {
  Random random(2);
  const auto x = random.normal<float>(2000, 4);
  const auto plane = RowMatrix<float>(x.leftCols(2));
  REQUIRE(engine::worth_a_grid(view(plane), 0.1f, 2000, 2000.0));
  REQUIRE(!engine::worth_a_grid(view(plane), 2.0f, 2000, 2000.0));
  REQUIRE(!engine::worth_a_grid(view(plane), 0.1f, 10, 2000.0));
  REQUIRE(!engine::worth_a_grid(view(plane), 0.1f, 2000, 5.0));
  REQUIRE(!engine::worth_a_grid(view(plane), std::numeric_limits<float>::infinity(), 2000, 2000.0));
  REQUIRE(!engine::worth_a_grid(view(x), 0.1f, 2000, 2000.0));
  REQUIRE(!engine::worth_a_grid(view(RowMatrix<float>(x.leftCols(0))), 0.1f, 2000, 2000.0));
  REQUIRE(!engine::worth_a_grid(view(RowMatrix<float>(plane.topRows(10))), 0.1f, 2000, 2000.0));
}
