// Local polynomial regression: fits, criteria with their gradients, the search, and inference, against dense least squares,
// closed forms and a simulation. One file, because the headers take longer to compile than the tests.
#include "nadaraya/regression/local_regression.hpp"

#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/regression.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/rule_of_thumb.hpp"
#include "nadaraya/regression/smoother_error.hpp"
#include "nadaraya/regression/student.hpp"

#include "regression/dense.hpp"
#include "support/catch.hpp"
#include "support/sanitized.hpp"

#include <Eigen/LU>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::test;

namespace {

template <class K>
void check_against_dense(const K& kernel, Index dimension, int degree) {
  const LocalExample example(300, dimension, degree);
  Vector h(dimension);
  for (Index d = 0; d < dimension; ++d) h(d) = 0.45 + 0.3 * static_cast<double>(d) + 0.1 * degree;
  const LocalRegression<K> model(kernel, h, example.x, example.y, example.model);
  Matrix queries = example.x.topRows(12);
  queries.array() += 0.013;
  const auto prediction = model.predict(queries);
  REQUIRE(prediction.empty_rows.empty());
  for (Index i = 0; i < queries.rows(); ++i) {
    const Vector c = dense_weights(kernel, h, example.x, example.model, queries.row(i).transpose(), -1);
    CAPTURE(dimension, degree, i);
    REQUIRE(largest(prediction.values.row(i) - c.transpose() * example.y) <= 1e-9 * c.cwiseAbs().sum());
  }
}

}  // namespace

TEST_CASE("local regression is dense weighted least squares", "[regression]") {
  for (Index dimension = 1; dimension <= 3; ++dimension) {
    for (int degree = 0; degree <= 3; ++degree) check_against_dense(Biweight{}, dimension, degree);
  }
  check_against_dense(Epanechnikov{}, 5, 1);
  check_against_dense(Gaussian{}, 2, 1);
}

TEST_CASE("a fit of degree 0 is kernel regression", "[regression]") {
  const LocalExample example(300, 2, 0);
  const LocalModel plain{.degree = 0};
  const Vector h = Vector::Constant(2, 0.4);
  const LocalRegression<Biweight> local(Biweight{}, h, example.x, example.y, plain);
  const KernelRegression constant(Biweight{}, 0.4, example.x, example.y);
  Matrix queries = example.x.topRows(50);
  queries.row(7) << 50.0, 0.0;
  const auto a = local.predict(queries), b = constant.predict(queries);
  REQUIRE(largest(a.values - b.values) <= 1e-13);
  REQUIRE(a.empty_rows == std::vector<Index>{7});
  REQUIRE(b.empty_rows == a.empty_rows);
  REQUIRE(std::abs(a.mean_support - b.mean_support) <= 1e-12 * b.mean_support);
  REQUIRE(std::abs(local.criterion(LeaveOneOut{}) - constant.leave_one_out_error()) <= 1e-13);
}

TEST_CASE("local fits to a data file are those of unridged least squares", "[regression]") {
  std::ifstream file(NADARAYA_TEST_DATA "/../../examples/data/mcycle.csv");
  std::vector<double> xs, ys;
  for (std::string line; std::getline(file, line);) {
    const std::size_t comma = line.find(',');
    if (line.empty() || line[0] == '#' || line[0] == 't' || comma == std::string::npos) continue;
    xs.push_back(std::stod(line.substr(0, comma)));
    ys.push_back(std::stod(line.substr(comma + 1)));
  }
  REQUIRE(xs.size() == 133);
  const Eigen::Map<const Vector> x(xs.data(), 133), y(ys.data(), 133);
  const Vector h = Vector::Constant(1, 8.0);
  const Vector queries = Vector::LinSpaced(40, 3.0, 57.0);
  for (int degree = 0; degree <= 3; ++degree) {
    const LocalRegression<Triweight> model(Triweight{}, h, x, y, {.degree = degree});
    const Matrix values = model.predict(queries).values;
    for (Index i = 0; i < queries.size(); ++i) {
      const Vector c = dense_weights(Triweight{}, h, x, {.degree = degree, .ridge = 1e-17}, queries.row(i), -1);
      CAPTURE(degree, queries(i));
      REQUIRE(std::abs(values(i) - c.dot(y)) <= 1e-6 * y.cwiseAbs().maxCoeff());
    }
  }
}

TEST_CASE("the bandwidth of neighbors is the distance to the next point", "[regression]") {
  for (const Index dimension : {1, 2, 4}) {
    LocalExample example(200, dimension, 1);
    const Index k = 17;
    const LocalRegression<Triweight> model(Triweight{}, NearestNeighbors{k}, example.x, example.y, example.model);
    Matrix queries = example.x.topRows(9);
    queries.row(8).array() += 3.0;  // far from all
    const auto prediction = model.predict(queries);
    REQUIRE(prediction.mean_support == static_cast<double>(k));
    for (Index i = 0; i < queries.rows(); ++i) {
      std::vector<double> distances;
      for (Index j = 0; j < example.x.rows(); ++j) {
        distances.push_back((example.x.row(j) - queries.row(i)).transpose().cwiseQuotient(model.scales()).norm());
      }
      std::sort(distances.begin(), distances.end());
      const Vector h = model.scales() * distances[static_cast<std::size_t>(k)];
      const Vector c = dense_weights(Triweight{}, h, example.x, example.model, queries.row(i).transpose(), -1);
      REQUIRE(largest(prediction.values.row(i) - c.transpose() * example.y) <= 1e-7 * c.cwiseAbs().sum());
    }
  }
  // Coincident points: all that are at no distance count alike.
  Matrix x = Matrix::Zero(8, 1), y(8, 1);
  y << 1, 2, 3, 4, 5, 6, 7, 8;
  x(7) = 1;
  const LocalRegression<Biweight> model(Biweight{}, NearestNeighbors{3}, x, y);
  REQUIRE(std::abs(model.predict(x.topRows(1)).values(0) - 4.0) <= 1e-12);
}

TEST_CASE("a number of neighbors is chosen by a criterion", "[regression]") {
  const LocalExample example(120, 1, 1);
  const std::vector<Index> numbers{5, 12, 30, 60};
  const auto model = LocalRegression<Biweight>::fit_neighbors(Biweight{}, example.x, example.y, numbers, LeaveOneOut{}, example.model);
  const auto error = [&](Index k) {
    return LocalRegression<Biweight>(Biweight{}, NearestNeighbors{k}, example.x, example.y, example.model).criterion(LeaveOneOut{});
  };
  for (const Index k : numbers) REQUIRE(error(model.neighbors()) <= error(k));
}

TEST_CASE("no result of a local regression depends on the executor", "[regression][threads]") {
  const LocalExample example(500, 2, 1);
  const Vector h = Vector::Constant(2, 0.3);
  const LocalRegression<Biweight> model(Biweight{}, h, example.x, example.y, example.model);
  REQUIRE(model.predict(example.x).values == model.predict(example.x, Threads{3}).values);
  REQUIRE(model.criterion_gradient(CorrectedAic{}) == model.criterion_gradient(CorrectedAic{}, Threads{3}));
  const auto serial = model.diagnose(), threaded = model.diagnose(Threads{3});
  REQUIRE(serial.noise == threaded.noise);
  REQUIRE(model.intervals(example.x, serial).lower == model.intervals(example.x, serial, 0.95, Threads{3}).lower);
  REQUIRE_THROWS_AS(model.predict(example.x, Threads{0}), std::invalid_argument);
}

TEST_CASE("local regression refuses what has no meaning", "[regression]") {
  using catch_shim::contains;
  const LocalExample example(30, 2, 1);
  const Vector h = Vector::Constant(2, 0.5);
  const auto make = [&](const Matrix& x, const Matrix& y, const LocalModel& model) {
    return LocalRegression<Biweight>(Biweight{}, h, x, y, model);
  };
  Matrix x = example.x, y = example.y;
  x(17, 1) = std::numeric_limits<double>::quiet_NaN();
  REQUIRE_THROWS_WITH(make(x, y, {}), contains("LocalRegression") && contains("row 17 of x [30 x 2]"));
  y(3, 0) = std::numeric_limits<double>::infinity();
  REQUIRE_THROWS_WITH(make(example.x, y, {}), contains("row 3 of y [30 x 2]"));
  REQUIRE_THROWS_WITH(make(example.x, example.y.topRows(4), {}), contains("[30 x 2] and [4 x 2]"));
  REQUIRE_THROWS_WITH(make(example.x, example.y, {.degree = 4}), contains("degree") && contains("got 4"));
  REQUIRE_THROWS_WITH(make(example.x, example.y, {.ridge = 0}), contains("ridge"));
  REQUIRE_THROWS_WITH(make(example.x, example.y, {.weights = Vector::Ones(4)}), contains("weights") && contains("got 4"));
  REQUIRE_THROWS_WITH(make(example.x, example.y, {.weights = Vector::Zero(30)}), contains("weight 0 must be positive and finite"));
  REQUIRE_THROWS_AS((LocalRegression<Biweight>(Biweight{}, Vector::Zero(2), example.x, example.y)), std::invalid_argument);
  REQUIRE_THROWS_AS((LocalRegression<Biweight>(Biweight{}, Vector::Ones(3), example.x, example.y)), std::invalid_argument);
  REQUIRE_THROWS_AS((LocalRegression<Biweight>(Biweight{}, NearestNeighbors{29}, example.x, example.y)), std::invalid_argument);
  const auto model = make(example.x, example.y, {});
  REQUIRE_THROWS_WITH(model.predict(Matrix::Zero(2, 3)), contains("predict") && contains("[2 x 3]"));
  REQUIRE_THROWS_WITH(model.predict(x), contains("predict: row 17 of queries"));
  REQUIRE_THROWS_AS(model.intervals(example.x, {}), std::invalid_argument);
  REQUIRE_THROWS_AS(model.intervals(example.x, model.diagnose(), 1.0), std::invalid_argument);
  REQUIRE_THROWS_AS(make(example.x, example.y, {.degree = 0}).slopes(example.x, model.diagnose()), std::invalid_argument);
}

// --- criteria and the search ---

namespace {

/// The hat matrix, without the points themselves if left_out.
template <class K>
Eigen::MatrixXd hat(const K& kernel, const Vector& h, const LocalExample& example, bool left_out) {
  Eigen::MatrixXd s(example.x.rows(), example.x.rows());
  for (Index i = 0; i < s.rows(); ++i) {
    s.row(i) = dense_weights(kernel, h, example.x, example.model, example.x.row(i).transpose(), left_out ? i : -1).transpose();
  }
  return s;
}

template <class K>
void check_criteria(const K& kernel, Index dimension, int degree, double ridge = 1e-10) {
  LocalExample example(90, dimension, degree);
  example.model.ridge = ridge;
  Vector h(dimension);
  for (Index d = 0; d < dimension; ++d) h(d) = (kernel.compact ? 0.8 : 0.3) + 0.2 * static_cast<double>(d);
  const auto model = [&](const Vector& at) { return LocalRegression<K>(kernel, at, example.x, example.y, example.model); };
  const Vector& w = example.model.weights;
  const auto mean_square = [&](const Eigen::MatrixXd& s) {
    return ((s * example.y - example.y).rowwise().squaredNorm().array() * w.array()).sum() / w.sum();
  };
  const Eigen::MatrixXd all = hat(kernel, h, example, false);
  const double n = 90, trace = all.trace(), square = mean_square(all), left_out = mean_square(hat(kernel, h, example, true));
  const double gcv = square / std::pow(1 - trace / n, 2), aicc = std::log(square) + 1 + 2 * (trace + 1) / (n - trace - 2);
  CAPTURE(dimension, degree);
  REQUIRE(std::abs(model(h).criterion(LeaveOneOut{}) - left_out) <= 1e-8 * left_out);
  REQUIRE(std::abs(model(h).criterion(GeneralizedCrossValidation{}) - gcv) <= 1e-8 * gcv);
  REQUIRE(std::abs(model(h).criterion(CorrectedAic{}) - aicc) <= 1e-8);

  const auto check_gradient = [&](const auto& criterion) {
    const Vector gradient = model(h).criterion_gradient(criterion);
    for (Index d = 0; d < dimension; ++d) {
      const auto value = [&](double step) {
        Vector at = h;
        at(d) *= std::exp(step);
        return model(at).criterion(criterion);
      };
      const double step = 1e-3, once = (value(step) - value(-step)) / (2 * step), twice = (value(2 * step) - value(-2 * step)) / (4 * step);
      REQUIRE(std::abs(gradient(d) - (4 * once - twice) / 3) <= 1e-6 * (0.1 + std::abs(gradient(d))));
    }
  };
  check_gradient(LeaveOneOut{});
  check_gradient(GeneralizedCrossValidation{});
  check_gradient(CorrectedAic{});
}

}  // namespace

TEST_CASE("criteria and their gradients", "[regression][gradients]") {
  for (int degree = 0; degree <= 3; ++degree) check_criteria(Gaussian{}, 2, degree);
  check_criteria(Gaussian{}, 1, 1);
  check_criteria(Gaussian{}, 5, 1);
  check_criteria(Gaussian{}, 2, 2, 0.5);
  check_criteria(RectifiedPolynomial<4>{}, 1, 1);
  check_criteria(RectifiedPolynomial<4>{}, 2, 0);
}

TEST_CASE("a search ends no worse than a grid", "[regression]") {
  const LocalExample example(150, 2, 1);
  int calls = 0;
  BandwidthSearch search;
  search.progress = [&](const Vector& h, double) { calls += h.size() == 2 ? 1 : 0; };
  const auto choice = LocalRegression<Biweight>::choose(Biweight{}, example.x, example.y, LeaveOneOut{}, example.model, search);
  REQUIRE(calls > 2);
  const auto error = [&](const Vector& h) {
    return LocalRegression<Biweight>(Biweight{}, h, example.x, example.y, example.model).criterion(LeaveOneOut{});
  };
  REQUIRE(std::abs(error(choice.bandwidths) - choice.criterion) <= 1e-12);
  for (double a = 0.2; a < 4; a *= 1.5) {
    for (double b = 0.2; b < 4; b *= 1.5) REQUIRE(choice.criterion <= error(Eigen::Vector2d(a, b)) * (1 + 1e-6));
  }
  const auto again = LocalRegression<Biweight>::choose(Biweight{}, example.x, example.y, LeaveOneOut{}, example.model, search, Threads{2});
  REQUIRE(again.bandwidths == choice.bandwidths);

  // From a sample.
  const auto sampled = LocalRegression<Biweight>::choose(Biweight{}, example.x, example.y, LeaveOneOut{}, example.model,
                                                        {.starts = 1, .sample = 75});
  REQUIRE(sampled.criterion <= 1.01 * choice.criterion);
}

TEST_CASE("a search of many points, whose starts are compared at some, ends no worse than a grid", "[regression]") {
  LocalExample example(600, 2, 1);
  const auto check = [&](const auto& criterion) {
    const auto choice = LocalRegression<Biweight>::choose(Biweight{}, example.x, example.y, criterion, example.model);
    const auto error = [&](const Vector& h) {
      return LocalRegression<Biweight>(Biweight{}, h, example.x, example.y, example.model).criterion(criterion);
    };
    // That is of all points.
    REQUIRE(std::abs(error(choice.bandwidths) - choice.criterion) <= 1e-12);
    const double step = test::sanitized ? 3.0 : 1.5;  // sanitizers take 30 s with the finer grid
    for (double a = 0.2; a < 4; a *= step) {
      for (double b = 0.2; b < 4; b *= step) REQUIRE(choice.criterion <= error(Eigen::Vector2d(a, b)) + 1e-6 * std::abs(choice.criterion));
    }
  };
  check(LeaveOneOut{});
  check(CorrectedAic{});
  example.model.weights.resize(0);
  check(GeneralizedCrossValidation{});
}

TEST_CASE("a criterion formed at all points in two parts is that of all", "[regression]") {
  const LocalExample example(90, 2, 1);
  detail::LocalData data{example.x, example.y, example.model.weights, 1, 1e-10};
  const Biweight kernel;
  const Vector h = Eigen::Vector2d(0.9, 1.1);
  const auto at = [&](const std::vector<Index>& rows, bool leaves_out) {
    data.rows = rows;
    const detail::LocalDesign design = detail::design_of({detail::AnyKernel::of(kernel), data, h});
    return detail::smoother_error(design, design.order.scaled(data.x, h), {leaves_out, true}, AnyExecutor(Serial{}));
  };
  std::vector<Index> first, last;
  for (Index i = 0; i < 90; ++i) (i % 3 == 0 ? first : last).push_back(i);
  double masses[2] = {0, 0};
  for (const Index i : first) masses[0] += data.weights(i);
  for (const Index i : last) masses[1] += data.weights(i);
  for (const bool leaves_out : {false, true}) {
    const auto a = at(first, leaves_out), b = at(last, leaves_out), all = at({}, leaves_out);
    const double mass = masses[0] + masses[1];
    REQUIRE(all.error.points == a.error.points);
    REQUIRE(std::abs((a.error.mean_square * masses[0] + b.error.mean_square * masses[1]) / mass - all.error.mean_square) <= 1e-12 * all.error.mean_square);
    REQUIRE(((a.mean_square * masses[0] + b.mean_square * masses[1]) / mass - all.mean_square).norm() <= 1e-11 * all.mean_square.norm());
    REQUIRE(std::abs((a.error.trace + 2 * b.error.trace) / 3 - all.error.trace) <= 1e-12 * all.error.trace);
    REQUIRE(((a.trace + 2 * b.trace) / 3 - all.trace).norm() <= 1e-11 * all.trace.norm());
  }
}

TEST_CASE("bandwidths of samples are scaled to all points", "[regression]") {
  const LocalExample example(900, 1, 1);
  const auto choose = [&](const BandwidthSearch& search) {
    return LocalRegression<Biweight>::choose(Biweight{}, example.x, example.y, LeaveOneOut{}, example.model, search);
  };
  const auto all = choose({}), bagged = choose({.starts = 1, .sample = 100, .points = 200});
  const auto error = [&](const BandwidthChoice& choice) {
    return LocalRegression<Biweight>(Biweight{}, choice.bandwidths, example.x, example.y, example.model).criterion(LeaveOneOut{});
  };
  REQUIRE(bagged.bandwidths != all.bandwidths);
  REQUIRE(std::abs(std::log(bagged.bandwidths(0) / all.bandwidths(0))) <= 0.3);
  REQUIRE(error(bagged) <= 1.01 * error(all));
  REQUIRE(choose({.starts = 1, .sample = 100, .points = 200}).bandwidths == bagged.bandwidths);
  REQUIRE_THROWS_WITH(choose({.sample = 100, .points = 99}), catch_shim::contains("at most `points`, got 100 and 99"));
}

TEST_CASE("a point without neighbors is a penalty, not an end", "[regression]") {
  LocalExample example(100, 1, 1);
  example.x(99) = 40;  // alone at any useful bandwidth
  const auto model = LocalRegression<Biweight>::fit(Biweight{}, example.x, example.y, LeaveOneOut{}, example.model);
  REQUIRE(model.scales()(0) < 5);
  const double alone = LocalRegression<Biweight>(Biweight{}, Vector::Constant(1, 1e-9), example.x, example.y, {}).criterion(LeaveOneOut{});
  const Matrix centred = example.y.rowwise() - example.y.colwise().mean();
  REQUIRE(std::abs(alone - 4 * centred.squaredNorm() / 100) <= 1e-12);
  REQUIRE(LocalRegression<Biweight>(Biweight{}, Vector::Constant(1, 1e-9), example.x, example.y, {}).criterion(CorrectedAic{}) ==
          std::numeric_limits<double>::infinity());
  example.x.setOnes();
  REQUIRE_THROWS_WITH(LocalRegression<Biweight>::fit(Biweight{}, example.x, example.y, LeaveOneOut{}),
                      catch_shim::contains("column 0 of x [100 x 1] is constant"));
}

TEST_CASE("the rule of thumb", "[regression]") {
  const LocalExample example(400, 1, 1);
  const double sigma = std::sqrt((example.x.array() - example.x.mean()).square().mean());
  const double expected = 1.06 * sigma * std::pow(400.0, -0.2);
  REQUIRE(std::abs(rule_of_thumb_bandwidths(Gaussian{}, example.x, 1)(0) - expected) <= 1e-6 * expected);
  // int u^2 (1 - u^2)^2 / int (1 - u^2)^2 = 1/7 over [-1, 1].
  REQUIRE(std::abs(rule_of_thumb_bandwidths(Biweight{}, example.x, 1)(0) - expected * std::sqrt(7.0)) <= 1e-6 * expected);
}

// --- inference ---

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

TEST_CASE("the logarithm of the gamma function is that of the standard library", "[regression]") {
  for (double x = 1e-300; x < 1e6; x *= 1.37) {
    CAPTURE(x);
    const double expected = std::lgamma(x);
    REQUIRE(std::abs(detail::log_gamma(x) - expected) <= 2e-14 * std::max(1.0, std::abs(expected)));
  }
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
  Vector x(n);
  Matrix y(n, trials);  // an output for each, all fitted at once
  for (Index i = 0; i < n; ++i) x(i) = (static_cast<double>(i) + 0.5) / n;
  const auto f = [](double at) { return std::sin(3 * at); };
  const Vector at = Vector::LinSpaced(queries, 0.03, 0.97);
  // Narrow enough that the bias is small compared with the noise; the noise grows threefold along x.
  const Vector h = Vector::Constant(1, 0.15);
  for (int trial = 0; trial < trials; ++trial) {
    for (Index i = 0; i < n; ++i) y(i, trial) = f(x(i)) + (0.2 + 0.4 * x(i)) * random.normal();
  }
  const LocalRegression<Biweight> model(Biweight{}, h, x, y);
  const auto intervals = model.intervals(at, model.diagnose());
  Index covered = 0;
  for (Index i = 0; i < queries; ++i) {
    covered += (intervals.lower.row(i).array() <= f(at(i)) && intervals.upper.row(i).array() >= f(at(i))).count();
  }
  const double share = static_cast<double>(covered) / (trials * queries);
  CAPTURE(share);
  REQUIRE(share >= 0.93);
  REQUIRE(share <= 0.97);
}
