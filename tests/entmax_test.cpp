// Row functions against a bisection in long double and against finite differences of it.
#include "nadaraya/entmax.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

using nadaraya::Index;
using nadaraya::RowMatrix;
using Real = long double;

namespace {

using Matrix = RowMatrix<double>;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// alpha-entmax of one row. The support is the longest prefix of the sorted scores whose last score,
/// taken as the edge, leaves less than one above it; the weight of that last one is then bisected.
std::vector<Real> oracle(const std::vector<Real>& x, double alpha) {
  const Real largest = *std::max_element(x.begin(), x.end());
  std::vector<Real> p(x.size());
  if (alpha == 1.0) {
    Real total = 0;
    for (const Real z : x) total += std::exp(z - largest);
    for (std::size_t j = 0; j < x.size(); ++j) p[j] = std::exp(x[j] - largest) / total;
    return p;
  }
  const Real r = 1 / (static_cast<Real>(alpha) - 1);
  std::vector<Real> sorted = x;
  std::sort(sorted.begin(), sorted.end(), std::greater<Real>());
  // Total weight of the first k scores when the k-th lies s above the edge.
  const auto total = [&](std::size_t k, Real s) {
    Real sum = 0;
    for (std::size_t j = 0; j < k; ++j) sum += std::pow((sorted[j] - sorted[k - 1]) / r + s, r);
    return sum;
  };
  std::size_t k = 1;
  while (k < sorted.size() && total(k + 1, 0) < 1) ++k;
  Real low = -1e6L, high = 0;  // of the logarithm of that weight
  for (int step = 0; step < 120; ++step) {
    const Real middle = (low + high) / 2;
    (total(k, std::exp(middle / r)) < 1 ? low : high) = middle;
  }
  const Real s = std::exp(high / r);
  for (std::size_t j = 0; j < x.size(); ++j) {
    if (x[j] >= sorted[k - 1]) p[j] = std::pow((x[j] - sorted[k - 1]) / r + s, r);
  }
  return p;
}

template <class Scalar>
std::vector<Real> row_of(const RowMatrix<Scalar>& x, Index i) {
  return std::vector<Real>(x.data() + i * x.cols(), x.data() + (i + 1) * x.cols());
}

template <class Scalar>
Matrix oracle(const RowMatrix<Scalar>& x, double alpha) {
  Matrix p(x.rows(), x.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    const std::vector<Real> row = oracle(row_of(x, i), alpha);
    for (Index j = 0; j < x.cols(); ++j) p(i, j) = static_cast<double>(row[static_cast<std::size_t>(j)]);
  }
  return p;
}

/// Largest difference; NaN if there is one.
template <class A, class B>
double error(const A& a, const B& b) {
  if (a.size() == 0) return a.rows() == b.rows() && a.cols() == b.cols() ? 0.0 : not_a_number;
  return (a.template cast<double>() - b.template cast<double>()).cwiseAbs().template maxCoeff<Eigen::PropagateNaN>();
}

template <class Scalar>
RowMatrix<Scalar> random(Index rows, Index cols, double scale, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0.0, scale);
  return RowMatrix<Scalar>::NullaryExpr(rows, cols, [&]() { return static_cast<Scalar>(normal(generator)); });
}

/// Matrix that are easy to get wrong: ties, one far ahead, equal steps, near ties.
template <class Scalar>
RowMatrix<Scalar> delicate() {
  RowMatrix<Scalar> x(6, 5);
  x << 0, 0, 0, 0, 0,          //
      1, 1, 1, -1, -1,         //
      1000, 0, 0, 0, 0,        //
      0, 0.25, 0.5, 0.75, 1,   //
      -3, -3, -3.5, -3.5, -4,  //
      7, Scalar(7.0001), 7, 6.5, 6;
  return x;
}

const std::vector<double> alphas{1.0, 1.0001, 4.0 / 3.0, 1.5, 1.7, 2.0, 3.0, 10.0};

/// sum_j g_j p_j, whose gradient is what a pullback of g should be.
Real loss(const std::vector<Real>& x, double alpha, const std::vector<Real>& g) {
  const std::vector<Real> p = oracle(x, alpha);
  Real sum = 0;
  for (std::size_t j = 0; j < p.size(); ++j) sum += g[j] * p[j];
  return sum;
}

bool agree(double value, double expected) { return std::abs(value - expected) <= 1e-8 + 1e-6 * std::abs(expected); }

}  // namespace

TEMPLATE_TEST_CASE("entmax agrees with bisection", "[entmax]", float, double) {
  using Scalar = TestType;
  const double alpha = GENERATE(from_range(alphas));
  // Weights are conditioned by the scores they come from: epsilon times the largest score that
  // matters. Random scores here stay below 40; thousandfold ones leave one key.
  const double tolerance = 50.0 * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  CAPTURE(alpha);
  for (const double scale : {0.1, 1.0, 1000.0}) {
    const auto x = random<Scalar>(8, 17, scale, 5);
    const RowMatrix<Scalar> p = nadaraya::entmax(x, alpha);
    REQUIRE(error(p, oracle(x, alpha)) <= tolerance);
    REQUIRE(error(p.rowwise().sum(), Eigen::VectorXd::Ones(8)) <= tolerance);
  }
  REQUIRE(error(nadaraya::entmax(delicate<Scalar>(), alpha), oracle(delicate<Scalar>(), alpha)) <= tolerance);
  const RowMatrix<Scalar> one_column = random<Scalar>(3, 1, 50.0, 6);
  REQUIRE(error(nadaraya::entmax(one_column, alpha), Matrix::Ones(3, 1)) <= tolerance);
}

TEST_CASE("entmax of 4096 equally spaced scores", "[entmax]") {
  const double alpha = GENERATE(1.0, 1.5, 2.0, 3.0);
  const Matrix x = Eigen::RowVectorXd::LinSpaced(4096, -20.0, 20.0);
  REQUIRE(error(nadaraya::entmax(x, alpha), oracle(x, alpha)) <= 1e-14);
}

TEST_CASE("the named functions are entmax at their alpha", "[entmax]") {
  const Matrix x = random<double>(4, 9, 1.0, 7);
  REQUIRE(nadaraya::softmax(x) == nadaraya::entmax(x, 1.0));
  REQUIRE(nadaraya::sparsemax(x) == nadaraya::entmax(x, 2.0));
  // Towards 1 it tends to softmax, through the closed thresholds it is continuous.
  REQUIRE(error(nadaraya::entmax(x, std::nextafter(1.0, 2.0)), nadaraya::softmax(x)) <= 1e-14);
  REQUIRE(error(nadaraya::entmax(x, 1.5 + 1e-13), nadaraya::entmax(x, 1.5)) <= 1e-11);
  REQUIRE(error(nadaraya::entmax(x, 2.0 + 1e-13), nadaraya::sparsemax(x)) <= 1e-11);
  // Any expression, any storage.
  const Eigen::MatrixXd columns = x;
  REQUIRE(nadaraya::entmax(columns.middleCols(2, 5) * 2.0, 1.5) ==
          nadaraya::entmax(Matrix(2.0 * x.middleCols(2, 5)), 1.5));
}

TEST_CASE("entmax pullbacks agree with finite differences", "[entmax]") {
  const double alpha = GENERATE(from_range(alphas));
  CAPTURE(alpha);
  Matrix x = random<double>(3, 6, 0.4, 8);
  x.row(1) *= 0.1;
  const Matrix g = random<double>(3, 6, 1.0, 9);
  const Matrix p = nadaraya::entmax(x, alpha);
  const Matrix dx = nadaraya::entmax_pullback(p, g, alpha);
  REQUIRE(error(dx.rowwise().sum(), Eigen::VectorXd::Zero(3)) <= 1e-14 * (1.0 + dx.cwiseAbs().maxCoeff()));
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 6; ++j) {
      std::vector<Real> up = row_of(x, i), down = up;
      constexpr Real h = 1e-8L;
      up[static_cast<std::size_t>(j)] += h;
      down[static_cast<std::size_t>(j)] -= h;
      const Real slope = (loss(up, alpha, row_of(g, i)) - loss(down, alpha, row_of(g, i))) / (2 * h);
      CAPTURE(i, j, p(i, j));
      REQUIRE(agree(dx(i, j), static_cast<double>(slope)));
    }
  }
  if (alpha == 1.0) REQUIRE(nadaraya::softmax_pullback(p, g) == dx);
  if (alpha == 2.0) REQUIRE(nadaraya::sparsemax_pullback(p, g) == dx);
}

TEST_CASE("a pullback survives weights whose slope no scalar holds", "[entmax]") {
  RowMatrix<float> p(1, 3), g(1, 3);
  p << 0.75f, 0.25f, 1e-6f;
  g << 1.0f, 3.0f, -5.0f;
  // Against a key that is infinitely steep, the others move as if alone: s_j (g_j - g of that key).
  const RowMatrix<float> dx = nadaraya::entmax_pullback(p, g, 10.0);
  const float first = std::pow(0.75f, -8.0f) * 6.0f;
  const float second = std::pow(0.25f, -8.0f) * 8.0f;
  REQUIRE(std::abs(dx(0, 0) - first) <= 1e-5f * first);
  REQUIRE(std::abs(dx(0, 1) - second) <= 1e-5f * second);
  REQUIRE(std::abs(dx(0, 2) + first + second) <= 1e-5f * second);
}

TEST_CASE("the alpha gradient agrees with finite differences", "[entmax]") {
  const double alpha = GENERATE(1.05, 4.0 / 3.0, 1.5, 1.7, 2.0, 3.0, 10.0);
  CAPTURE(alpha);
  const Matrix x = random<double>(4, 6, 0.3, 10);
  const Matrix g = random<double>(4, 6, 1.0, 11);
  constexpr double h = 1e-6;
  Real slope = 0;
  for (Index i = 0; i < 4; ++i) {
    slope +=
        (loss(row_of(x, i), alpha + h, row_of(g, i)) - loss(row_of(x, i), alpha - h, row_of(g, i))) / (2 * Real(h));
  }
  REQUIRE(agree(nadaraya::entmax_alpha_gradient(x, g, alpha), static_cast<double>(slope)));
}

TEST_CASE("the alpha gradient is continuous into softmax", "[entmax]") {
  const Matrix x = random<double>(4, 6, 1.0, 12);
  const Matrix g = random<double>(4, 6, 1.0, 13);
  const Matrix p = nadaraya::softmax(x);
  const Eigen::ArrayXXd log_p = p.array().log();
  const Eigen::VectorXd mean = p.cwiseProduct(g).rowwise().sum();
  const double expected = (-0.5 * p.array() * log_p.square() * (g.colwise() - mean).array()).sum();
  const double at_one = nadaraya::entmax_alpha_gradient(x, g, 1.0);
  REQUIRE(std::abs(at_one - expected) <= 1e-13);
  for (const double step : {1e-3, 1e-6, 1e-9, 1e-12}) {
    CAPTURE(step);
    REQUIRE(std::abs(nadaraya::entmax_alpha_gradient(x, g, 1.0 + step) - at_one) <= 100.0 * step + 1e-13);
  }
  // Where a weight underflows, p log^2 p is zero, even if log^2 p is infinite.
  Matrix far(1, 2), one(1, 2);
  far << 1e308, -1e308;
  one << 1.0, 2.0;
  REQUIRE(nadaraya::entmax_alpha_gradient(far, one, 1.0) == 0.0);
}

TEST_CASE("special scores stay in their row", "[entmax]") {
  const double alpha = GENERATE(from_range(alphas));
  CAPTURE(alpha);
  Matrix x(5, 3);
  x << 0.1, 0.2, 0.3,                   //
      not_a_number, 0.0, -infinity,     //
      infinity, 0.0, 0.0,               //
      -infinity, -infinity, -infinity,  //
      -infinity, 0.2, 0.3;
  const Matrix g = Matrix::Ones(5, 3) + Matrix::Identity(5, 3);
  const Matrix p = nadaraya::entmax(x, alpha);
  const Matrix dx = nadaraya::entmax_pullback(p, g, alpha);
  for (const Matrix& result : {p, dx}) {
    REQUIRE(result.row(0).allFinite());
    REQUIRE(result.row(1).array().isNaN().all());
    REQUIRE(result.row(2).array().isNaN().all());
    REQUIRE((result.row(3).array() == 0.0).all());
    REQUIRE(result(4, 0) == 0.0);
    REQUIRE(result.row(4).allFinite());
  }
  REQUIRE(error(p.bottomRightCorner(1, 2), nadaraya::entmax(x.bottomRightCorner(1, 2), alpha)) <= 1e-15);
  REQUIRE(std::isnan(nadaraya::entmax_alpha_gradient(x, g, alpha)));
  const Matrix visible = x.bottomRows(2), visible_g = g.bottomRows(2);
  REQUIRE(std::abs(nadaraya::entmax_alpha_gradient(visible, visible_g, alpha) -
                   nadaraya::entmax_alpha_gradient(visible.bottomRightCorner(1, 2), visible_g.bottomRightCorner(1, 2),
                                                   alpha)) <= 1e-15);
}

TEST_CASE("support sizes and empty shapes", "[entmax]") {
  Matrix p(3, 3);
  p << 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, not_a_number;
  REQUIRE(nadaraya::support_sizes(p) == Eigen::Matrix<Index, 3, 1>(2, 0, 2));
  for (const double alpha : alphas) {
    REQUIRE(nadaraya::entmax(Matrix(0, 4), alpha).cols() == 4);
    REQUIRE(nadaraya::entmax(Matrix(4, 0), alpha).rows() == 4);
    REQUIRE(nadaraya::entmax_pullback(Matrix(4, 0), Matrix(4, 0), alpha).rows() == 4);
    REQUIRE(nadaraya::entmax_alpha_gradient(Matrix(4, 0), Matrix(4, 0), alpha) == 0.0);
  }
}

TEST_CASE("entmax refuses what has no meaning", "[entmax]") {
  const Matrix x = Matrix::Zero(2, 3), g = Matrix::Zero(3, 2);
  for (const double alpha : {0.5, 0.0, -1.0, not_a_number, infinity}) {
    REQUIRE_THROWS_AS(nadaraya::entmax(x, alpha), std::invalid_argument);
    REQUIRE_THROWS_AS(nadaraya::entmax_pullback(x, x, alpha), std::invalid_argument);
    REQUIRE_THROWS_AS(nadaraya::entmax_alpha_gradient(x, x, alpha), std::invalid_argument);
  }
  using catch_shim::contains;
  REQUIRE_THROWS_WITH(nadaraya::entmax(x, 0.5), contains("entmax: alpha") && contains("0.5"));
  REQUIRE_THROWS_WITH(nadaraya::sparsemax_pullback(x, g),
                      contains("sparsemax_pullback") && contains("[2 x 3]") && contains("[3 x 2]"));
  REQUIRE_THROWS_WITH(nadaraya::softmax_pullback(x, g), contains("softmax_pullback"));
  REQUIRE_THROWS_WITH(nadaraya::entmax_alpha_gradient(x, g, 1.5), contains("entmax_alpha_gradient"));
}
