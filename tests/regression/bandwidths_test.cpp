// Criteria against dense hat matrices, their gradients against finite differences, and the search.
#include "nadaraya/regression/local_regression.hpp"

#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"

#include "regression/dense.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::test;

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
  for (double a = 0.2; a < 4; a *= 1.3) {
    for (double b = 0.2; b < 4; b *= 1.3) REQUIRE(choice.criterion <= error(Eigen::Vector2d(a, b)) * (1 + 1e-6));
  }
  const auto again = LocalRegression<Biweight>::choose(Biweight{}, example.x, example.y, LeaveOneOut{}, example.model, search, Threads{2});
  REQUIRE(again.bandwidths == choice.bandwidths);

  // From a sample.
  const auto sampled = LocalRegression<Biweight>::choose(Biweight{}, example.x, example.y, LeaveOneOut{}, example.model,
                                                        {.starts = 1, .sample = 75});
  REQUIRE(sampled.criterion <= 1.01 * choice.criterion);
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
