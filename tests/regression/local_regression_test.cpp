// Local polynomial regression against dense least squares, and what it refuses.
#include "nadaraya/regression/local_regression.hpp"

#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/regression.hpp"

#include "regression/dense.hpp"
#include "support/catch.hpp"

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
  REQUIRE_THROWS_WITH(make(example.x, example.y, {.weights = Vector::Zero(30)}), contains("weight 0 must be positive"));
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
