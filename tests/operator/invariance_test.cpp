// What must not change a row's weights, on a thousand random rows each: an added constant, the order
// of the keys, copies of a key. And what every row keeps: weights that sum to one, the support that
// sorting gives.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <Eigen/SparseCore>
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

constexpr int rows = test::sanitized ? 200 : 1000;

template <class Scalar>
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

/// The weights of one row with the given similarities: the keys are numbers, the query is 1.
template <class Scalar, class K, class N>
Vector<Scalar> weights(const NadarayaWatson<K, N, DotProduct>& op, const Vector<Scalar>& z) {
  const RowMatrix<Scalar> one = RowMatrix<Scalar>::Ones(1, 1);
  return RowMatrix<Scalar>(op.weights(one, z)).row(0).transpose();
}

/// Similarities of one row: multiples of 2^-10 below 2^6 in size, so that adding a small integer is
/// exact in float too; one of three spreads, with ties.
template <class Scalar>
Vector<Scalar> similarities(test::Random& random) {
  const Index n = 1 + random.below(200);
  const double spreads[] = {0.1, 1.0, 10.0};
  const double spread = spreads[random.below(3)];
  Vector<Scalar> z(n);
  for (Index j = 0; j < n; ++j) {
    z(j) = static_cast<Scalar>(std::round(1024 * spread * random.normal()) / 1024);
    if (random.uniform() < 0.1) z(j) = z(random.below(j + 1));
  }
  return z;
}

/// visit(operator, name) for every kernel and normalization that a dot product takes, with the
/// factor by which its weights magnify rounding of the similarities: kappa' / mass near the edge.
template <class Visit>
void each_rule(const Visit& visit) {
  const auto with = [](const auto& kernel, const auto& normalization) {
    return NadarayaWatson(kernel, normalization, DotProduct{1.0});
  };
  visit(with(Epanechnikov{}, Adaptive{}), "sparsemax");
  visit(with(Biweight{}, Adaptive{}), "1.5-entmax");
  visit(with(Triweight{}, Adaptive{}), "4/3-entmax");
  visit(with(RectifiedPower::with_exponent(2.5), Adaptive{}), "1.4-entmax");
  visit(with(test::Custom{}, Adaptive{}), "custom adaptive");
  visit(with(Gaussian{}, Adaptive{}), "softmax");
  visit(with(Epanechnikov{}, Anchored{0.9}), "anchored epanechnikov");
  visit(with(Gaussian{}, Anchored{0.9}), "anchored gaussian");
  visit(with(Gaussian{}, NearestNeighbors{7}), "top-7 softmax");
}

/// Several units of rounding of a weight of at most 1: of the similarities, the threshold, the sum.
template <class Scalar>
const long double tolerance = 64 * Eigen::NumTraits<Scalar>::epsilon();

template <class Scalar>
void check_shift() {
  each_rule([](const auto& op, const std::string& name) {
    INFO(name);
    test::Random random(1);
    for (int i = 0; i < rows; ++i) {
      INFO("row " << i);
      const Vector<Scalar> z = similarities<Scalar>(random);
      const auto shift = static_cast<Scalar>(random.below(64) - 32);
      const Vector<Scalar> shifted = z.array() + shift;
      REQUIRE(difference(weights(op, shifted), weights(op, z), tolerance<Scalar>) == "");
    }
  });
}

template <class Scalar>
void check_permutation() {
  each_rule([](const auto& op, const std::string& name) {
    INFO(name);
    constexpr bool ranked = SelectingNormalization<std::remove_cvref_t<decltype(op.normalization())>>;
    test::Random random(2);
    for (int i = 0; i < rows; ++i) {
      INFO("row " << i);
      Vector<Scalar> z = similarities<Scalar>(random);
      // Ranks break ties by position: none, then.
      if (ranked) {
        for (Index j = 0; j < z.size(); ++j) z(j) = static_cast<Scalar>(random.normal());
      }
      Eigen::PermutationMatrix<Eigen::Dynamic> order(z.size());
      order.setIdentity();
      for (Index j = z.size(); j-- > 1;) order.applyTranspositionOnTheRight(j, random.below(j + 1));
      const Vector<Scalar> permuted = order * z;
      const Vector<Scalar> expected = order * weights(op, z);
      REQUIRE(difference(weights(op, permuted), expected, tolerance<Scalar>) == "");
    }
  });
}

}  // namespace

TEST_CASE("A constant added to all similarities of a row changes no weight", "[operator][invariance]") {
  check_shift<double>();
  check_shift<float>();
}

TEST_CASE("Permuting the keys permutes the weights", "[operator][invariance]") {
  check_permutation<double>();
  check_permutation<float>();
}

TEST_CASE("Equal keys have equal weights, and copying all of them changes no regression", "[operator][invariance]") {
  each_rule([](const auto& op, const std::string& name) {
    INFO(name);
    using Op = std::remove_cvref_t<decltype(op)>;
    constexpr bool ranked = SelectingNormalization<std::remove_cvref_t<decltype(op.normalization())>>;
    // An adaptive compact row widens its support when keys are repeated; one that is divided by its
    // sum does not notice.
    constexpr bool divided = !std::is_same_v<std::remove_cvref_t<decltype(op.normalization())>, Adaptive> ||
                             std::is_same_v<Op, NadarayaWatson<Gaussian, Adaptive, DotProduct>>;
    test::Random random(3);
    for (int i = 0; i < rows && !ranked; ++i) {
      INFO("row " << i);
      const Vector<double> z = similarities<double>(random);
      Vector<double> twice(2 * z.size());
      twice << z, z;
      const Vector<double> p = weights(op, twice);
      REQUIRE(difference(p.head(z.size()), p.tail(z.size()), 0) == "");
      if (divided) {
        const Vector<double> sum = p.head(z.size()) + p.tail(z.size());
        REQUIRE(difference(sum, weights(op, z), tolerance<double>) == "");
      }
    }
  });
}

TEST_CASE("The weights of a row sum to one within 4 eps sqrt(n)", "[operator][invariance]") {
  const auto check = [](auto scalar) {
    using Scalar = decltype(scalar);
    const long double epsilon = Eigen::NumTraits<Scalar>::epsilon();
    each_rule([&](const auto& op, const std::string& name) {
      INFO(name);
      test::Random random(4);
      for (int i = 0; i < rows; ++i) {
        INFO("row " << i);
        const Vector<Scalar> z = similarities<Scalar>(random);
        const long double sum = weights(op, z).template cast<long double>().sum();
        const long double error = std::abs(sum - 1);
        REQUIRE(error <= 4 * epsilon * std::sqrt(static_cast<long double>(z.size())));
      }
    });
  };
  check(0.0);
  check(0.0f);
}

TEST_CASE("The support of sparsemax is the one that sorting gives", "[operator][invariance]") {
  // Held, Wolfe and Crowder 1974: with z descending, the support is the largest k for which
  // 1 + k z_k > z_1 + ... + z_k.
  test::Random random(5);
  const NadarayaWatson op(Epanechnikov{}, Adaptive{}, DotProduct{1.0});
  int undecided = 0;
  for (int i = 0; i < rows; ++i) {
    INFO("row " << i);
    const Index n = 1 + random.below(200);
    const Vector<double> z = random.normal<double>(n, 1, std::exp(2 * random.normal()));
    std::vector<long double> sorted(z.begin(), z.end());
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    long double sum = 0;
    long double tau = 0;
    for (std::size_t k = 0; k < sorted.size(); ++k) {
      if (!(1 + static_cast<long double>(k + 1) * sorted[k] > sum + sorted[k])) break;
      sum += sorted[k];
      tau = (sum - 1) / static_cast<long double>(k + 1);
    }
    const bool decided = std::all_of(sorted.begin(), sorted.end(), [&](long double x) { return std::abs(x - tau) > 1e-6L; });
    if (!decided) {
      ++undecided;
      continue;
    }
    const Vector<double> p = weights(op, z);
    for (Index j = 0; j < n; ++j) REQUIRE((p(j) > 0) == (z(j) > tau));
  }
  REQUIRE(undecided * 50 < rows);
}
