// Errors of a fit: where they have closed forms, and by simulation.
#include "nadaraya/regression/local_regression.hpp"

#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/uniform.hpp"

#include "regression/dense.hpp"
#include "support/catch.hpp"

#include <Eigen/LU>

#include <cmath>
#include <limits>

using namespace nadaraya;
using namespace nadaraya::test;

TEST_CASE("with a bandwidth beyond all points a local line is least squares", "[regression]") {
  const LocalExample example(60, 1, 1);
  const Vector x = example.x;
  const Matrix y = example.y;
  const LocalRegression<Uniform> model(Uniform{}, Vector::Constant(1, 10.0), x, y, {.degree = 1, .ridge = 1e-13});
  Eigen::MatrixXd design(60, 2);
  design << Vector::Ones(60), x;
  const Eigen::Matrix2d inverse = (design.transpose() * design).inverse();
  const Eigen::MatrixXd coefficients = inverse * design.transpose() * y;
  const Matrix residuals = y - design * coefficients;
  const Vector leverage = (design * inverse * design.transpose()).diagonal();
  const auto d = model.diagnose();
  REQUIRE(largest(d.residuals - residuals) <= 1e-8);
  REQUIRE(largest(d.leverage - leverage) <= 1e-8);
  REQUIRE(std::abs(d.degrees_of_freedom - 2) <= 1e-8);
  REQUIRE(std::abs(d.residual_degrees_of_freedom - 58) <= 1e-7);
  for (Index o = 0; o < 2; ++o) {
    REQUIRE(std::abs(d.variance(o) - residuals.col(o).squaredNorm() / 58) <= 1e-8);
    const double total = (y.col(o).array() - y.col(o).mean()).square().sum();
    REQUIRE(std::abs(d.r_squared(o) - (1 - residuals.col(o).squaredNorm() / total)) <= 1e-8);
  }
  // The sandwich HC2 (MacKinnon and White 1985).
  const Vector queries = Vector::LinSpaced(5, -0.2, 1.2);
  const auto intervals = model.intervals(queries, d, 0.9);
  const auto slopes = model.slopes(queries, d);
  for (Index o = 0; o < 2; ++o) {
    const Vector noise = residuals.col(o).cwiseAbs2().cwiseQuotient((1 - leverage.array()).matrix());
    const Eigen::Matrix2d covariance = inverse * (design.transpose() * noise.asDiagonal() * design) * inverse;
    for (Index i = 0; i < 5; ++i) {
      const Eigen::Vector2d at(1, queries(i));
      REQUIRE(std::abs(intervals.values(i, o) - at.dot(coefficients.col(o))) <= 1e-8);
      REQUIRE(std::abs(intervals.standard_errors(i, o) - std::sqrt(at.dot(covariance * at))) <= 1e-8);
      REQUIRE(std::abs(slopes.values[0](i, o) - coefficients(1, o)) <= 1e-8);
      REQUIRE(std::abs(slopes.standard_errors[0](i, o) - std::sqrt(covariance(1, 1))) <= 1e-8);
      const double half = (intervals.upper(i, o) - intervals.lower(i, o)) / 2 / intervals.standard_errors(i, o);
      REQUIRE(half > 1.6448);
      REQUIRE(half < 1.75);
    }
  }
}

TEST_CASE("slopes of a local cubic are those of the cubic", "[regression]") {
  const LocalExample example(200, 2, 3);
  const auto f = [](double a, double b) { return a * a * b - 2 * b * b + a; };
  Vector y(200);
  for (Index i = 0; i < 200; ++i) y(i) = f(example.x(i, 0), example.x(i, 1));
  const LocalRegression<Triweight> model(Triweight{}, Eigen::Vector2d(0.7, 1.3), example.x, y, {.degree = 3, .ridge = 1e-13});
  const auto slopes = model.slopes(example.x.topRows(20), model.diagnose());
  for (Index i = 0; i < 20; ++i) {
    const double a = example.x(i, 0), b = example.x(i, 1);
    REQUIRE(std::abs(slopes.values[0](i) - (2 * a * b + 1)) <= 1e-6);
    REQUIRE(std::abs(slopes.values[1](i) - (a * a - 4 * b)) <= 1e-6);
  }
}

TEST_CASE("a query without points has an unbounded interval", "[regression]") {
  const LocalExample example(40, 1, 1);
  const LocalRegression<Biweight> model(Biweight{}, Vector::Constant(1, 0.3), example.x, example.y);
  const auto intervals = model.intervals(Matrix::Constant(1, 1, 90.0), model.diagnose());
  REQUIRE(intervals.empty_rows.size() == 1);
  REQUIRE(intervals.values.isZero(0));
  REQUIRE(intervals.lower(0) == -std::numeric_limits<double>::infinity());
  REQUIRE(intervals.upper(0) == std::numeric_limits<double>::infinity());
}

TEST_CASE("quantiles of Student's t", "[regression]") {
  const auto t = [](double level, double freedom) { return detail::student_quantile(level, freedom, detail::normal_quantile(level)); };
  const auto agree = [](double a, double b) { return std::abs(a - b) <= 1e-9 * b; };
  // 1 and 2 degrees of freedom have closed forms; the others as tabulated.
  REQUIRE(agree(detail::normal_quantile(0.95), 1.959963984540054));
  REQUIRE(agree(detail::normal_quantile(0.3), 0.3853204664075677));
  for (const double level : {0.2, 0.9, 0.999}) {
    REQUIRE(agree(t(level, 1), std::tan(std::acos(-1.0) / 2 * level)));
    REQUIRE(agree(t(level, 2), level * std::sqrt(2 / (1 - level * level))));
  }
  REQUIRE(agree(t(0.95, 5), 2.570581835636314));
  REQUIRE(agree(t(0.99, 30), 2.749995653567231));
  REQUIRE(agree(t(0.95, 120), 1.979930405052777));
  for (const double level : {0.5, 0.95, 0.999}) {  // the two formulas meet
    REQUIRE(agree(t(level, 999.99999), t(level, 1000.00001)));
  }
}

TEST_CASE("95 % intervals cover in 93 to 97 % of simulations", "[regression]") {
  constexpr Index n = 200, queries = 20;
  constexpr int trials = 1000;
  Random random(7);
  Vector x(n), y(n);
  for (Index i = 0; i < n; ++i) x(i) = (static_cast<double>(i) + 0.5) / n;
  const auto f = [](double at) { return std::sin(3 * at); };
  const Vector at = Vector::LinSpaced(queries, 0.03, 0.97);
  // Narrow enough that the bias is small compared with the noise; the noise grows threefold along x.
  const Vector h = Vector::Constant(1, 0.15);
  Index covered = 0;
  for (int trial = 0; trial < trials; ++trial) {
    for (Index i = 0; i < n; ++i) y(i) = f(x(i)) + (0.2 + 0.4 * x(i)) * random.normal();
    const LocalRegression<Biweight> model(Biweight{}, h, x, y);
    const auto intervals = model.intervals(at, model.diagnose());
    for (Index i = 0; i < queries; ++i) covered += intervals.lower(i) <= f(at(i)) && f(at(i)) <= intervals.upper(i) ? 1 : 0;
  }
  const double share = static_cast<double>(covered) / (trials * queries);
  CAPTURE(share);
  REQUIRE(share >= 0.93);
  REQUIRE(share <= 0.97);
}
