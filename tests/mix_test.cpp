// Mixes: their laws, dense least squares as the oracle, and finite differences.
#include "nadaraya/mix/local_constant.hpp"
#include "nadaraya/mix/local_linear.hpp"
#include "nadaraya/mix/local_polynomial.hpp"

#include <nadaraya/reference.hpp>
#include <nadaraya/reference_least_squares.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

using namespace nadaraya;

namespace {

using Values = Eigen::VectorXd;

template <class M>
constexpr int degree_of = std::is_same_v<M, LocalConstant> ? 0 : std::is_same_v<M, LocalLinear> ? 1 : 2;
template <>
constexpr int degree_of<LocalPolynomial<3>> = 3;

template <class M>
M with_ridge(double ridge) {
  if constexpr (std::is_same_v<M, LocalConstant>) {
    return {};
  } else {
    return M{ridge};
  }
}

/// A query and its support.
struct Row {
  Values query;
  RowMatrix<double> keys;
  Values weights;

  Row(Index size, Index dimension, unsigned seed) : query(dimension), keys(size, dimension), weights(size) {
    test::Random random(seed);
    for (double& x : query) x = 0.5 * random.normal();
    for (double& x : keys.reshaped<Eigen::RowMajor>()) x = random.normal();
    for (double& w : weights) w = 0.05 + random.uniform();
  }

  WeightedKeys<double> support() const {
    return WeightedKeys<double>::of(query.data(), keys.data(), keys.cols(),
                                    {weights.data(), static_cast<std::size_t>(weights.size())});
  }

  template <class M>
  Values corrected(const M& mix) const {
    typename M::template Scratch<double> scratch;
    Values c = Values::Constant(weights.size(), std::nan(""));
    mix.template correct<double>(support(), {c.data(), static_cast<std::size_t>(c.size())}, scratch);
    return c;
  }

  std::vector<long double> oracle(int degree, double ridge) const {
    return reference::local_fit<long double>(degree, ridge, query, keys,
                                             std::vector<long double>(weights.begin(), weights.end()));
  }

  double error(int degree, double ridge, const Values& c) const {
    const auto expected = oracle(degree, ridge);
    long double error = 0, size = 0;
    for (Index j = 0; j < c.size(); ++j) {
      const long double e = std::abs(c(j) - expected[static_cast<std::size_t>(j)]);
      if (!(e <= error)) error = e;
      size = std::max(size, std::abs(expected[static_cast<std::size_t>(j)]));
    }
    return static_cast<double>(error / size);
  }
};

/// NaN if there is one.
double largest(const Values& x) { return x.cwiseAbs().maxCoeff<Eigen::PropagateNaN>(); }

/// Sizes below, at and above the number of coefficients.
std::vector<std::pair<Index, Index>> shapes(int degree) {
  if (degree >= 2) return {{30, 1}, {30, 2}, {40, 3}, {3, 1}, {4, 2}, {7, 3}, {1, 2}, {2, 3}};
  return {{30, 1}, {30, 3}, {9, 8}, {8, 8}, {7, 8}, {3, 8}, {1, 5}, {40, 17}, {5, 20}, {2, 1}};
}

}  // namespace

TEMPLATE_TEST_CASE("a mix is dense weighted least squares at the query", "[mix]", LocalConstant, LocalLinear,
                   LocalPolynomial<2>, LocalPolynomial<3>) {
  static_assert(Mix<TestType>);
  constexpr int degree = degree_of<TestType>;
  for (const auto& shape : shapes(degree)) {
    const Index size = shape.first, dimension = shape.second;
    for (const double ridge : {1e-3, 1.0}) {
      const Row row(size, dimension, 7);
      const Values c = row.corrected(with_ridge<TestType>(ridge));
      REQUIRE(std::abs(c.sum() - 1.0) <= 1e-13 * c.cwiseAbs().sum());
      // Rounding, times the condition of moments that reach (|k - q|^2)^degree over the ridge.
      REQUIRE(row.error(degree, ridge, c) <= 1e-13 * std::pow(30.0, degree) / std::min(1.0, ridge));
    }
  }
}

TEMPLATE_TEST_CASE("a mix reproduces the polynomials of its degree", "[mix]", LocalConstant, LocalLinear,
                   LocalPolynomial<2>, LocalPolynomial<3>) {
  constexpr int degree = degree_of<TestType>;
  for (Index dimension = 1; dimension <= 3; ++dimension) {
    const Row row(60, dimension, 3);
    const auto f = [&](const auto& x) {
      double sum = 2.0;
      for (int n = 1; n <= degree; ++n) sum += std::pow(x.sum() + 0.3 * x(0), n) - 0.7 * std::pow(x(dimension - 1), n);
      return sum;
    };
    const Values c = row.corrected(with_ridge<TestType>(1e-13));
    double out = 0;
    for (Index j = 0; j < c.size(); ++j) out += c(j) * f(row.keys.row(j));
    REQUIRE(std::abs(out - f(row.query)) <= 1e-9);
  }
}

TEMPLATE_TEST_CASE("a mix does not depend on the scale of weights or the origin of keys", "[mix]", LocalConstant, LocalLinear,
                   LocalPolynomial<2>, LocalPolynomial<3>) {
  const auto mix = with_ridge<TestType>(1e-2);
  for (const Index size : {2, 12, 40}) {
    const Row row(size, 3, 5);
    Row other = row;
    other.weights *= 1e-3;
    other.query.array() += 4.0;
    other.keys.array() += 4.0;
    REQUIRE(largest(row.corrected(mix) - other.corrected(mix)) <= 1e-11);
  }
}

TEST_CASE("the solve by keys agrees with the solve by columns", "[mix]") {
  for (const Index size : {2, 5, 15}) {
    const Row row(size, 16, 8);
    // More keys than columns, without a change of the problem: each key in pieces.
    constexpr Index pieces = 10;
    Row split(size * pieces, 16, 8);
    split.query = row.query;
    for (Index j = 0; j < split.weights.size(); ++j) {
      split.keys.row(j) = row.keys.row(j % size);
      split.weights(j) = row.weights(j % size) / pieces;
    }
    const LocalLinear mix{1e-2};
    const Values all = split.corrected(mix), sums = all.reshaped(size, pieces).rowwise().sum();
    REQUIRE(largest(sums - row.corrected(mix)) <= 1e-12);
  }
}

TEMPLATE_TEST_CASE("a mix stays finite where keys do not determine the fit", "[mix]", LocalConstant, LocalLinear,
                   LocalPolynomial<2>, LocalPolynomial<3>) {
  const auto mix = with_ridge<TestType>(1e-10);
  for (const Index size : {1, 2, 4, 50}) {
    Row row(size, 2, 9);
    for (Index j = 0; j < size; ++j) row.keys.row(j) << 0.25, 0.5;  // all the same
    Values c = row.corrected(mix);
    REQUIRE(largest(c - row.weights / row.weights.sum()) <= 1e-5);
    for (Index j = 0; j < size; ++j) row.keys(j, 0) = 0.1 * static_cast<double>(j);  // on a line
    row.query << 0.15, 0.5;
    c = row.corrected(mix);
    REQUIRE(std::abs(c.sum() - 1.0) <= 1e-4);
    REQUIRE(largest(c) <= 10.0);
    row.weights(0) = std::numeric_limits<double>::denorm_min();
    REQUIRE(largest(row.corrected(mix)) < 1e3);
  }
  const Row empty(0, 2, 1);
  REQUIRE(empty.corrected(mix).size() == 0);
}

TEMPLATE_TEST_CASE("pullback of a mix against finite differences", "[mix][gradients]", LocalConstant, LocalLinear,
                   LocalPolynomial<2>, LocalPolynomial<3>) {
  constexpr int degree = degree_of<TestType>;
  const double ridge = 0.05, step = 1e-4;
  const auto mix = with_ridge<TestType>(ridge);
  for (const auto& shape : shapes(degree)) {
    const Index size = shape.first, dimension = shape.second;
    const Row row(size, dimension, 21);
    Values g(size);
    test::Random random(4);
    for (double& x : g) x = random.normal();
    Values by_weights(size), by_query(dimension);
    RowMatrix<double> by_keys(size, dimension);
    typename TestType::template Scratch<double> scratch;
    Values c(size);
    mix.template correct<double>(row.support(), {c.data(), static_cast<std::size_t>(size)}, scratch);
    const double by_ridge = mix.template pullback<double>(row.support(), {g.data(), static_cast<std::size_t>(size)},
                                                          {{by_weights.data(), static_cast<std::size_t>(size)}, by_query.data(), by_keys.data()},
                                                          scratch);
    const auto loss = [&](const Row& at, double ridge_at) {
      const auto expected = at.oracle(degree, ridge_at);
      long double sum = 0;
      for (Index j = 0; j < size; ++j) sum += g(j) * expected[static_cast<std::size_t>(j)];
      return sum;
    };
    const auto check = [&](double analytic, const auto& change) {
      // Central differences of two steps: the error is of fourth order.
      const auto difference = [&](double h) { return (change(h) - change(-h)) / (2.0L * h); };
      const long double numeric = (4 * difference(step) - difference(2 * step)) / 3;
      CAPTURE(size, dimension, analytic, static_cast<double>(numeric));
      REQUIRE(std::abs(analytic - numeric) <= 1e-7L * (1 + std::abs(numeric)));
    };
    for (Index j = 0; j < size; ++j) {
      check(by_weights(j), [&](double h) {
        Row at = row;
        at.weights(j) += h;
        return loss(at, ridge);
      });
      for (Index d = 0; d < dimension; ++d) {
        check(by_keys(j, d), [&](double h) {
          Row at = row;
          at.keys(j, d) += h;
          return loss(at, ridge);
        });
      }
      if (j == 3) break;
    }
    for (Index d = 0; d < dimension; ++d) {
      check(by_query(d), [&](double h) {
        Row at = row;
        at.query(d) += h;
        return loss(at, ridge);
      });
    }
    if (degree > 0) check(by_ridge, [&](double h) { return loss(row, ridge + 0.01 * h) * 100; });
  }
}

TEST_CASE("a mix refuses what has no meaning", "[mix]") {
  REQUIRE_THROWS_AS(LocalLinear{0.0}.validate<double>(2), std::invalid_argument);
  REQUIRE_THROWS_AS(LocalLinear{-1.0}.validate<double>(2), std::invalid_argument);
  REQUIRE_THROWS_AS(LocalLinear{std::nan("")}.validate<double>(2), std::invalid_argument);
  REQUIRE_THROWS_AS(LocalLinear{1e-60}.validate<float>(2), std::invalid_argument);
  REQUIRE_THROWS_WITH(LocalPolynomial<2>{}.validate<double>(4),
                      catch_shim::contains("LocalPolynomial") && catch_shim::contains("got 4"));
  REQUIRE_NOTHROW(LocalPolynomial<3>{}.validate<float>(3));
}
