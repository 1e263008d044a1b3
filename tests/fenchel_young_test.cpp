// Fenchel-Young losses against their definition, a maximization written out in long double.
#include "nadaraya/fenchel_young.hpp"

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <vector>

using nadaraya::Index;
using nadaraya::RowMatrix;
using Real = long double;

namespace {

using Matrix = RowMatrix<double>;
using Losses = Eigen::VectorXd;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

template <class A, class B>
double error(const A& a, const B& b) {
  return (a.template cast<double>() - b.template cast<double>()).cwiseAbs().template maxCoeff<Eigen::PropagateNaN>();
}

Matrix random(Index rows, Index cols, double scale, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0.0, scale);
  return Matrix::NullaryExpr(rows, cols, [&]() { return normal(generator); });
}

/// Omega + 1 / (alpha (alpha - 1)): the constant cancels in a loss.
Real omega(const std::vector<Real>& p, double alpha) {
  Real sum = 0;
  for (const Real p_j : p) {
    if (alpha == 1.0) {
      sum += p_j > 0 ? p_j * std::log(p_j) : 0;
    } else {
      sum += std::pow(p_j, Real(alpha)) / (Real(alpha) * (Real(alpha) - 1));
    }
  }
  return sum;
}

/// Omega(y) - Omega(p) + z.(p - y), with p from a bisection of the threshold. Near alpha = 1 Omega
/// is steep across the distributions: y is first brought to sum to one in this precision too.
Real oracle(const std::vector<Real>& z, std::vector<Real> y, double alpha) {
  const std::size_t n = z.size();
  Real sum_y = 0;
  for (const Real y_j : y) sum_y += y_j;
  for (Real& y_j : y) y_j /= sum_y;
  const Real a = Real(alpha) - 1;
  Real largest = z[0];
  for (const Real z_j : z) largest = std::max(largest, z_j);
  std::vector<Real> p(n);
  const auto weigh = [&](Real tau) {
    Real total = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const Real t = alpha == 1.0 ? std::exp(z[j] - largest) : a * (z[j] - largest) - tau;
      p[j] = alpha == 1.0 ? t : t > 0 ? std::pow(t, 1 / a) : 0;
      total += p[j];
    }
    return total;
  };
  Real low = -1, high = 0;
  for (int step = 0; step < 120; ++step) {
    const Real middle = (low + high) / 2;
    (weigh(middle) > 1 ? low : high) = middle;
  }
  const Real total = weigh(low);
  Real loss = omega(y, alpha);
  for (std::size_t j = 0; j < n; ++j) {
    p[j] /= total;
    loss += (z[j] - largest) * (p[j] - y[j]);
  }
  return loss - omega(p, alpha);
}

std::vector<Real> row_of(const Matrix& x, Index i) {
  return std::vector<Real>(x.data() + i * x.cols(), x.data() + (i + 1) * x.cols());
}

Losses oracle(const Matrix& z, const Matrix& y, double alpha) {
  return Losses::NullaryExpr(z.rows(),
                             [&](Index i) { return static_cast<double>(oracle(row_of(z, i), row_of(y, i), alpha)); });
}

const std::vector<double> alphas{1.0, 1.0001, 4.0 / 3.0, 1.5, 1.7, 2.0, 3.0};

}  // namespace

TEST_CASE("losses agree with their definition", "[fenchel_young]") {
  const double alpha = GENERATE(from_range(alphas));
  CAPTURE(alpha);
  const Matrix y = nadaraya::sparsemax(random(6, 5, 0.5, 1));
  REQUIRE((y.array() == 0.0).any());
  for (const double scale : {0.1, 1.0, 1000.0}) {
    const Matrix z = random(6, 5, scale, 2);
    const auto loss = nadaraya::entmax_loss(z, y, alpha);
    const Losses expected = oracle(z, y, alpha);
    REQUIRE(error(loss.losses, expected) <= 1e-13 * (1.0 + expected.cwiseAbs().maxCoeff()));
    REQUIRE(error(loss.gradient, nadaraya::entmax(z, alpha) - y) <= 1e-15);
    // A shift of the scores changes nothing, however large: the losses never see it.
    const Matrix shifted = z.array() + 1024.0 * scale;
    const Matrix back = shifted.array() - 1024.0 * scale;
    REQUIRE(error(nadaraya::entmax_loss(shifted, y, alpha).losses, nadaraya::entmax_loss(back, y, alpha).losses) <=
            1e-13 * (1.0 + expected.cwiseAbs().maxCoeff()));
    const auto in_float = nadaraya::entmax_loss(z.cast<float>(), y.cast<float>(), alpha);
    REQUIRE(error(in_float.losses, expected) <= 2e-6 * (1.0 + expected.cwiseAbs().maxCoeff()));
  }
}

TEST_CASE("the gradient agrees with finite differences", "[fenchel_young]") {
  const double alpha = GENERATE(from_range(alphas));
  CAPTURE(alpha);
  const Matrix z = random(4, 5, 1.0, 3);
  const Matrix y = nadaraya::softmax(random(4, 5, 1.0, 4));
  const Matrix gradient = nadaraya::entmax_loss(z, y, alpha).gradient;
  constexpr double h = 1e-5;
  for (Index j = 0; j < z.cols(); ++j) {
    Matrix up = z, down = z;
    up.col(j).array() += h;
    down.col(j).array() -= h;
    const Losses slope =
        (nadaraya::entmax_loss(up, y, alpha).losses - nadaraya::entmax_loss(down, y, alpha).losses) / (2.0 * h);
    REQUIRE(((slope - gradient.col(j)).array().abs() <= 1e-8 + 1e-6 * gradient.col(j).array().abs()).all());
  }
}

TEST_CASE("a loss is zero where the target is met, and never negative", "[fenchel_young]") {
  const double alpha = GENERATE(1.0, 1.0001, 4.0 / 3.0, 1.5, 1.7, 2.0, 3.0, 10.0);
  CAPTURE(alpha);
  const Matrix z = random(200, 7, 1.0, 5);
  const auto met = nadaraya::entmax_loss(z, nadaraya::entmax(z, alpha), alpha);
  REQUIRE((met.losses.array() >= 0.0).all());
  REQUIRE(met.losses.maxCoeff<Eigen::PropagateNaN>() <= 1e-14);
  // One class leading by 1 / (alpha - 1), or by so much that softmax rounds to one-hot.
  Matrix led = Matrix::Zero(1, 3);
  led(0, 1) = alpha == 1.0 ? 800.0 : 1.0 / (alpha - 1.0) + 1e-6;
  REQUIRE(nadaraya::entmax_loss(led, std::vector<int>{1}, alpha).losses(0) <= 1e-12);
}

TEST_CASE("class indices are one-hot targets", "[fenchel_young]") {
  const Matrix z = random(4, 3, 1.0, 6);
  const std::vector<int> labels{2, 0, 1, 2};
  Matrix y = Matrix::Zero(4, 3);
  for (Index i = 0; i < 4; ++i) y(i, labels[static_cast<std::size_t>(i)]) = 1.0;
  for (const double alpha : alphas) {
    const auto expected = nadaraya::entmax_loss(z, y, alpha);
    const auto loss = nadaraya::entmax_loss(z, labels, alpha);
    REQUIRE(loss.losses == expected.losses);
    REQUIRE(loss.gradient == expected.gradient);
  }
  const Eigen::VectorXi vector = Eigen::Map<const Eigen::VectorXi>(labels.data(), 4);
  REQUIRE(nadaraya::sparsemax_loss(z, vector).losses == nadaraya::entmax_loss(z, y, 2.0).losses);
  REQUIRE(nadaraya::softmax_loss(z, std::span<const int>(labels)).losses == nadaraya::entmax_loss(z, y, 1.0).losses);
  // Cross-entropy, also where the probability underflows.
  Matrix far(1, 2);
  far << 5000.0, 0.0;
  REQUIRE(nadaraya::softmax_loss(far, std::vector<long>{1}).losses(0) == 5000.0);
}

TEST_CASE("special scores stay in their row of losses", "[fenchel_young]") {
  const double alpha = GENERATE(from_range(alphas));
  CAPTURE(alpha);
  Matrix z(6, 2);
  z << 0.5, 0.25, not_a_number, 0.0, infinity, 0.0, -infinity, 0.0, 0.0, -infinity, -infinity, -infinity;
  const auto loss = nadaraya::entmax_loss(z, std::vector<int>(6, 0), alpha);
  REQUIRE(std::isfinite(loss.losses(0)));
  REQUIRE(std::isnan(loss.losses(1)));
  REQUIRE(std::isnan(loss.losses(2)));
  REQUIRE(loss.losses(3) == infinity);
  REQUIRE(loss.losses(4) == 0.0);
  REQUIRE(loss.losses(5) == infinity);
  REQUIRE(loss.gradient.row(1).array().isNaN().all());
  REQUIRE(loss.gradient.row(3) == Eigen::RowVector2d(-1.0, 1.0));
  REQUIRE(loss.gradient.row(5) == Eigen::RowVector2d(-1.0, 0.0));
  REQUIRE(nadaraya::entmax_loss(Matrix(0, 3), std::vector<int>{}, alpha).losses.size() == 0);
}

TEST_CASE("losses refuse what has no meaning", "[fenchel_young]") {
  using catch_shim::contains;
  const Matrix z = Matrix::Zero(2, 3);
  REQUIRE_THROWS_WITH(nadaraya::softmax_loss(z, std::vector<int>{0, 3}),
                      contains("softmax_loss") && contains("class index 3"));
  REQUIRE_THROWS_WITH(nadaraya::sparsemax_loss(z, std::vector<int>{-1, 0}), contains("class index -1"));
  REQUIRE_THROWS_WITH(nadaraya::sparsemax_loss(z, std::vector<int>{0}),
                      contains("sparsemax_loss") && contains("[2 x 3]"));
  REQUIRE_THROWS_WITH(nadaraya::entmax_loss(z, Matrix(Matrix::Ones(2, 2)), 1.5), contains("[2 x 2]"));
  REQUIRE_THROWS_WITH(nadaraya::entmax_loss(z, Matrix(Matrix::Ones(2, 3)), 1.5), contains("row 0"));
  REQUIRE_THROWS_WITH(nadaraya::entmax_loss(z, Matrix(Matrix::Constant(2, 3, not_a_number)), 1.5), contains("row 0"));
  Matrix negative(2, 3);
  negative << 1.0, 0.0, 0.0, 1.5, -0.5, 0.0;
  REQUIRE_THROWS_WITH(nadaraya::entmax_loss(z, negative, 1.5), contains("row 1"));
  REQUIRE_THROWS_AS(nadaraya::entmax_loss(z, std::vector<int>{0, 0}, 0.99), std::invalid_argument);
}
