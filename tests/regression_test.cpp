// Kernel regression on data: leave-one-out against the sum written out, and the choice it makes.
#include "nadaraya/regression.hpp"

#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/uniform.hpp"

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/sanitized.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace nadaraya;

namespace {

using Matrix = RowMatrix<double>;

struct Data {
  Matrix x{40, 2};
  Matrix y{40, 3};

  Data() {
    std::mt19937 generator(3);
    std::uniform_real_distribution<double> uniform(-1.0, 1.0);
    std::normal_distribution<double> noise(0.0, 0.1);
    for (Index i = 0; i < x.rows(); ++i) {
      x.row(i) << uniform(generator), uniform(generator);
      y.row(i) << std::sin(3.0 * x(i, 0)) + noise(generator), x(i, 1) + noise(generator), 1.0;
    }
  }
};

/// kappa as a function of u = distance / bandwidth.
double epanechnikov(double u) { return u < 1.0 ? 1.0 - u * u : 0.0; }
double gaussian(double u) { return std::exp(-0.5 * u * u); }

template <class Kappa>
Matrix regress(const Data& data, double h, const Matrix& queries, Index without, const Kappa& kappa) {
  Matrix result(queries.rows(), data.y.cols());
  for (Index i = 0; i < queries.rows(); ++i) {
    Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(data.y.cols());
    double total = 0;
    for (Index j = 0; j < data.x.rows(); ++j) {
      if (j == without) continue;
      const double weight = kappa((queries.row(i) - data.x.row(j)).norm() / h);
      sum += weight * data.y.row(j);
      total += weight;
    }
    result.row(i) = sum / total;
  }
  return result;
}

template <class Kappa>
double left_out(const Data& data, double h, const Kappa& kappa) {
  double sum = 0;
  for (Index i = 0; i < data.x.rows(); ++i) {
    sum += (regress(data, h, data.x.row(i), i, kappa) - data.y.row(i)).squaredNorm();
  }
  return sum / static_cast<double>(data.x.rows());
}

}  // namespace

TEST_CASE("the leave-one-out error is the sum it says", "[regression]") {
  const Data data;
  for (const double h : {0.7, 1.0, 3.0}) {
    REQUIRE(std::abs(leave_one_out_error(Epanechnikov{}, h, data.x, data.y) - left_out(data, h, epanechnikov)) <=
            1e-14);
    REQUIRE(std::abs(leave_one_out_error(Gaussian{}, h, data.x, data.y) - left_out(data, h, gaussian)) <= 1e-14);
  }
}

TEST_CASE("fit chooses the smallest error and predicts with it", "[regression]") {
  const Data data;
  const std::vector<double> bandwidths{8.0, 0.02, 0.3, 0.5, 0.7, 1.0, 1.5};
  double best = 0, best_error = std::numeric_limits<double>::infinity();
  for (const double h : bandwidths) {
    const double error = left_out(data, h, epanechnikov);
    if (error < best_error) best = h, best_error = error;
  }
  REQUIRE(best > 0.3);
  REQUIRE(best < 8.0);
  const auto model = KernelRegression<Epanechnikov>::fit(Epanechnikov{}, data.x, data.y, bandwidths);
  REQUIRE(model.bandwidth() == best);
  REQUIRE(std::abs(model.leave_one_out_error() - best_error) <= 1e-14);

  Matrix queries(3, 2);
  queries << 0.1, 0.2, 50.0, 0.0, -0.4, 0.3;
  const Prediction<double> prediction = model.predict(queries);
  REQUIRE(prediction.empty_rows == std::vector<Index>{1});
  REQUIRE(prediction.values.row(1) == Eigen::RowVector3d::Zero());
  REQUIRE(prediction.mean_support > 1.0);
  for (const Index i : {0, 2}) {
    const Matrix expected = regress(data, best, queries.row(i), -1, epanechnikov);
    REQUIRE((prediction.values.row(i) - expected).cwiseAbs().maxCoeff<Eigen::PropagateNaN>() <= 1e-14);
  }
}

TEST_CASE("a bandwidth that leaves a point alone is never chosen", "[regression]") {
  Matrix x(5, 1), y(5, 1);
  x << 0.0, 0.1, 0.2, 0.3, 2.0;
  y << 1.0, 1.0, 1.0, 1.0, 1.0;
  REQUIRE(leave_one_out_error(Biweight{}, 1.0, x, y) == std::numeric_limits<double>::infinity());
  REQUIRE(leave_one_out_error(Biweight{}, 1.75, x, y) <= 1e-30);
  REQUIRE(KernelRegression<Biweight>::fit(Biweight{}, x, y, {0.15, 1.0, 1.75}).bandwidth() == 1.75);
  using catch_shim::contains;
  REQUIRE_THROWS_WITH(KernelRegression<Biweight>::fit(Biweight{}, x, y, {0.15, 1.0}),
                      contains("KernelRegression::fit") && contains("none of the 2"));
  REQUIRE_THROWS_AS(KernelRegression<Biweight>::fit(Biweight{}, x, y, {}), std::invalid_argument);
  REQUIRE_THROWS_AS(KernelRegression<Gaussian>::fit(Gaussian{}, x.topRows(1), y.topRows(1), {1.0}),
                    std::invalid_argument);
  y(2) = std::numeric_limits<double>::quiet_NaN();
  REQUIRE_THROWS_AS(KernelRegression<Gaussian>::fit(Gaussian{}, x, y, {1.0}), std::invalid_argument);
}

TEST_CASE("a regression keeps its own data", "[regression]") {
  Data data;
  const KernelRegression model(Uniform{}, 0.9, data.x, data.y);
  const Matrix before = model.predict(data.x).values;
  const Matrix queries = data.x;
  data.x.setZero();
  data.y.setZero();
  const KernelRegression copy = model;
  REQUIRE(copy.predict(queries).values == before);
  const KernelRegression single(Uniform{}, 0.9, Data{}.x.cast<float>(), Data{}.y.cast<float>());
  REQUIRE((single.predict(queries.cast<float>()).values.cast<double>() - before)
              .cwiseAbs()
              .maxCoeff<Eigen::PropagateNaN>() <= 1e-5);
}

TEST_CASE("regression refuses what has no meaning", "[regression]") {
  const Data data;
  using catch_shim::contains;
  REQUIRE_THROWS_WITH(KernelRegression(Uniform{}, 1.0, data.x, data.y.topRows(3)),
                      contains("KernelRegression") && contains("[3 x 3]"));
  REQUIRE_THROWS_AS(KernelRegression(Uniform{}, 0.0, data.x, data.y), std::invalid_argument);
  REQUIRE_THROWS_WITH(leave_one_out_error(Uniform{}, 1.0, data.x, data.y.topRows(3)), contains("leave_one_out_error"));
  REQUIRE_THROWS_AS(leave_one_out_error(Uniform{}, 1.0, Matrix(0, 2), Matrix(0, 1)), std::invalid_argument);
  REQUIRE_THROWS_AS(leave_one_out_error(Uniform{}, -1.0, data.x, data.y), std::invalid_argument);
  REQUIRE_THROWS_WITH(KernelRegression(Uniform{}, 1.0, data.x, data.y).predict(Matrix(4, 5)),
                      contains("predict") && contains("[4 x 5]"));
}

TEST_CASE("a prediction keeps no support", "[regression][memory]") {
  constexpr Index n = 1500;
  const Matrix x = Matrix::Random(n, 2), y = Matrix::Random(n, 1);
  const KernelRegression model(Epanechnikov{}, 10.0, x, y);
  Prediction<double> prediction;
  double error = 0;
  // The candidates of a block of 96 queries, as their lists grow; the support would be 12 n^2 bytes.
  constexpr std::size_t scratch = std::size_t(n) * 4000;
  REQUIRE(test::bytes_allocated_in([&] { prediction = model.predict(x); }) < scratch);
  REQUIRE(test::bytes_allocated_in([&] { error = model.leave_one_out_error(); }) < scratch);
  // Every point is within the bandwidth of every other.
  REQUIRE(prediction.mean_support == double(n));
  REQUIRE(prediction.empty_rows.empty());
  REQUIRE(error > 0);
}

TEST_CASE("no result of a regression depends on the executor", "[regression][threads]") {
  // Enough for a grid.
  constexpr Index n = test::sanitized ? 1100 : 2000;
  Matrix x(n, 2), y(n, 1);
  std::mt19937 generator(5);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  for (Index i = 0; i < n; ++i) {
    x.row(i) << uniform(generator), uniform(generator);
    y(i) = std::sin(3.0 * x(i, 0)) + uniform(generator);
  }
  // Through a grid, and with the product loop.
  for (const double bandwidth : {0.02, 1.5}) {
    const KernelRegression model(Epanechnikov{}, bandwidth, x, y);
    const auto serial = model.predict(x), threaded = model.predict(x, Threads{3});
    REQUIRE(serial.values == threaded.values);
    REQUIRE(serial.empty_rows == threaded.empty_rows);
    REQUIRE(serial.mean_support == threaded.mean_support);
    REQUIRE(model.leave_one_out_error() == model.leave_one_out_error(Threads{3}));
    // Counts of each query, as a tape has them.
    const NadarayaWatson op(Epanechnikov{}, FixedBandwidth{bandwidth}, SquaredDistance{});
    Matrix out;
    const Matrix queries = 1.05 * x;
    const auto tape = op.forward(queries, x, y, out);
    const auto prediction = model.predict(queries);
    REQUIRE(prediction.values == out);
    REQUIRE(prediction.mean_support == tape.mean_support());
    REQUIRE(static_cast<Index>(prediction.empty_rows.size()) == tape.empty_rows());
    for (const Index i : prediction.empty_rows) REQUIRE(tape.support_size(i) == 0);
  }
  const std::vector<double> bandwidths{0.2, 0.3, 0.5};
  REQUIRE(KernelRegression<Epanechnikov>::fit(Epanechnikov{}, x, y, bandwidths).bandwidth() ==
          KernelRegression<Epanechnikov>::fit(Epanechnikov{}, x, y, bandwidths, Threads{3}).bandwidth());
  REQUIRE_THROWS_AS(KernelRegression(Epanechnikov{}, 1.0, x, y).predict(x, Threads{0}), std::invalid_argument);
}
