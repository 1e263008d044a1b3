// What the method's paper claims (arXiv 2601.22766), claim by claim.
#include <nadaraya/definitions.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <Eigen/SparseCore>
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

/// Rows on the unit sphere.
RowMatrix<double> directions(test::Random& random, Index rows, Index cols) {
  RowMatrix<double> m = random.normal<double>(rows, cols);
  m.rowwise().normalize();
  return m;
}

struct Problem {
  test::Random random{33};
  RowMatrix<double> q = directions(random, 9, 4);
  RowMatrix<double> k = directions(random, 30, 4);
  RowMatrix<double> v = random.normal<double>(30, 3);
};

/// alpha-entmax of a row by bisection on tau of [(alpha - 1) z - tau]_+^(1 / (alpha - 1)).
std::vector<double> entmax(const Eigen::RowVectorXd& z, double alpha) {
  const auto total = [&](long double tau) {
    long double sum = 0;
    for (const double z_j : z) {
      sum += std::pow((std::max)(0.0L, (alpha - 1) * z_j - tau), 1.0L / (static_cast<long double>(alpha) - 1));
    }
    return sum;
  };
  long double low = (alpha - 1) * z.maxCoeff() - 1;
  long double high = (alpha - 1) * z.maxCoeff();
  for (int i = 0; i < 200; ++i) {
    const long double middle = (low + high) / 2;
    (total(middle) < 1 ? high : low) = middle;
  }
  std::vector<double> p;
  for (const double z_j : z) {
    p.push_back(static_cast<double>(
        std::pow((std::max)(0.0L, (alpha - 1) * z_j - low), 1.0L / (static_cast<long double>(alpha) - 1))));
  }
  return p;
}

template <int N>
void check_n_weight(const RectifiedPolynomial<N>& kernel, const Problem& in) {
  INFO("n = " << N);
  const double beta = 3.0;
  const double alpha = 1.0 + 1.0 / N;
  const NadarayaWatson op{kernel, Adaptive{}, DotProduct{beta * beta}};
  const RowMatrix<double> p = op.weights(in.q, in.k);
  const RowMatrix<double> z = beta * beta * in.q * in.k.transpose();
  RowMatrix<double> out;
  const auto tape = op.forward(in.q, in.k, in.v, out);
  for (Index i = 0; i < p.rows(); ++i) {
    const std::vector<double> expected = entmax(z.row(i), alpha);
    REQUIRE(difference(p.row(i), Eigen::Map<const Eigen::RowVectorXd>(expected.data(), 30), 1e-13L) == "");
    // The same weights are those of the fixed-bandwidth estimator at the query's own bandwidth:
    // (alpha - 1) z_j - tau = (alpha - 1) beta^2 (h^2 - d_j^2) / 2, so that the estimator's
    // partition function is ((alpha - 1) beta^2 h^2 / 2)^-n, which adaptive normalization makes 1.
    const double tau = tape.row(i).threshold();
    const double h2 = 2.0 * (1.0 - tau / ((alpha - 1.0) * beta * beta));
    const NadarayaWatson fixed{kernel, FixedBandwidth{std::sqrt(h2)}, SquaredDistance{}};
    const RowMatrix<double> q = fixed.weights(in.q.row(i), in.k);
    REQUIRE(difference(p.row(i), q.row(0), 1e-12L) == "");
    double partition = 0;
    for (Index j = 0; j < 30; ++j) {
      const double d2 = (in.q.row(i) - in.k.row(j)).squaredNorm();
      partition += std::pow((std::max)(0.0, 1.0 - d2 / h2), N);
    }
    const double predicted = std::pow((alpha - 1.0) * beta * beta * h2 / 2.0, -N);
    REQUIRE(std::abs(partition / predicted - 1.0) <= 1e-11);
  }
}

}  // namespace

TEST_CASE("normalized ReLU attention is the Epanechnikov kernel at a fixed bandwidth on the unit sphere", "[paper]") {
  Problem in;
  for (const double h : {0.6, 1.0, 1.5}) {
    const double gamma = h * h / 2.0;
    const double b = 1.0 - 2.0 / (h * h);
    RowMatrix<double> w = ((in.q * in.k.transpose()).array() / gamma + b).cwiseMax(0.0).matrix();
    for (Index i = 0; i < w.rows(); ++i) {
      if (w.row(i).sum() > 0) w.row(i) /= w.row(i).sum();
    }
    const NadarayaWatson distance{Epanechnikov{}, FixedBandwidth{h}, SquaredDistance{}};
    const NadarayaWatson cosine{Epanechnikov{}, FixedBandwidth{h}, Cosine{}};
    REQUIRE(difference(RowMatrix<double>(distance.weights(in.q, in.k)), w, 1e-12L) == "");
    REQUIRE(difference(RowMatrix<double>(cosine.weights(in.q, in.k)), w, 1e-12L) == "");
  }
}

TEST_CASE("sparsemax is the Epanechnikov kernel with adaptive normalization", "[paper]") {
  // Sparsemax by its definition: the projection onto the simplex, characterized by its optimality
  // conditions p_j = [z_j - tau]_+ and sum p = 1.
  Problem in;
  const NadarayaWatson op{Epanechnikov{}, Adaptive{}, DotProduct{4.0}};
  const RowMatrix<double> p = op.weights(in.q, in.k);
  const RowMatrix<double> z = 4.0 * in.q * in.k.transpose();
  for (Index i = 0; i < p.rows(); ++i) {
    Index best = 0;
    z.row(i).maxCoeff(&best);
    const double tau = z(i, best) - p(i, best);
    REQUIRE(std::abs(p.row(i).sum() - 1.0) <= 1e-14);
    REQUIRE(difference(p.row(i), (z.row(i).array() - tau).cwiseMax(0.0).matrix(), 1e-14L) == "");
  }
}

TEST_CASE("alpha-entmax with alpha = 1 + 1/n is the n-weight kernel, n = 1 ... 8, at a bandwidth of each query", "[paper]") {
  Problem in;
  const auto check = [&](const auto& kernel) { check_n_weight(kernel, in); };
  check(RectifiedPolynomial<1>{});
  check(RectifiedPolynomial<2>{});
  check(RectifiedPolynomial<3>{});
  test::unless_sanitized(RectifiedPolynomial<4>{}, check);
  test::unless_sanitized(RectifiedPolynomial<5>{}, check);
  test::unless_sanitized(RectifiedPolynomial<6>{}, check);
  test::unless_sanitized(RectifiedPolynomial<7>{}, check);
  test::unless_sanitized(RectifiedPolynomial<8>{}, check);
}

TEST_CASE("n-weight attention tends to softmax at rate 1/n", "[paper]") {
  // log p = n log(1 + y / n) = y - y^2 / (2 n) + ...: the difference to softmax halves when n
  // doubles, and n times it tends to p |y^2 - mean y^2| / 2.
  Problem in;
  const RowMatrix<double> softmax = NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{4.0}}.weights(in.q, in.k);
  double before = 0;
  for (const double n : {64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0}) {
    const RowMatrix<double> p = NadarayaWatson{RectifiedPower::with_exponent(n), Adaptive{}, DotProduct{4.0}}.weights(in.q, in.k);
    const double distance = (p - softmax).cwiseAbs().maxCoeff();
    if (before > 0) REQUIRE(std::abs(before / distance - 2.0) <= 8.0 / n * 4.0);
    before = distance;
  }
  const RowMatrix<double> p = NadarayaWatson{RectifiedPower::with_exponent(1e6), Adaptive{}, DotProduct{4.0}}.weights(in.q, in.k);
  RowMatrix<double> slope = (p - softmax) * 1e6;
  for (Index i = 0; i < p.rows(); ++i) {
    const Eigen::ArrayXXd y2 = softmax.row(i).array().log().square();
    const double mean = (softmax.row(i).array() * y2).sum();
    const RowMatrix<double> predicted = (softmax.row(i).array() * (mean - y2) / 2.0).matrix();
    REQUIRE(difference(slope.row(i), predicted.row(0), 1e-5L) == "");
  }
}

TEST_CASE("ReLUmax is the Epanechnikov kernel anchored at the nearest key", "[paper]") {
  Problem in;
  const double b = 0.8;
  const RowMatrix<double> z = 2.0 * in.q * in.k.transpose();
  RowMatrix<double> expected(z.rows(), z.cols());
  for (Index i = 0; i < z.rows(); ++i) {
    expected.row(i) = (z.row(i).array() - z.row(i).maxCoeff() + b).cwiseMax(0.0).matrix();
    expected.row(i) /= expected.row(i).sum();
  }
  const NadarayaWatson op{Epanechnikov{}, Anchored{std::sqrt(b)}, DotProduct{2.0}};
  REQUIRE(difference(RowMatrix<double>(op.weights(in.q, in.k)), expected, 1e-13L) == "");
}

TEST_CASE("top-k softmax and top-k uniform are nearest-neighbour kernels", "[paper]") {
  Problem in;
  const RowMatrix<double> z = 3.0 * in.q * in.k.transpose();
  RowMatrix<double> softmax = RowMatrix<double>::Zero(z.rows(), z.cols());
  RowMatrix<double> uniform = softmax;
  for (Index i = 0; i < z.rows(); ++i) {
    std::vector<double> sorted(z.row(i).begin(), z.row(i).end());
    std::sort(sorted.begin(), sorted.end(), std::greater<double>());
    for (Index j = 0; j < z.cols(); ++j) {
      if (z(i, j) < sorted[6]) continue;
      softmax(i, j) = std::exp(z(i, j));
      uniform(i, j) = 1.0 / 7.0;
    }
    softmax.row(i) /= softmax.row(i).sum();
  }
  const NadarayaWatson top_softmax{Gaussian{}, NearestNeighbors{7}, DotProduct{3.0}};
  const NadarayaWatson top_uniform{Uniform{}, NearestNeighbors{7}, DotProduct{3.0}};
  REQUIRE(difference(RowMatrix<double>(top_softmax.weights(in.q, in.k)), softmax, 1e-14L) == "");
  REQUIRE(difference(RowMatrix<double>(top_uniform.weights(in.q, in.k)), uniform, 1e-15L) == "");
}

TEST_CASE("the unnormalized estimator is the self-normalized one times its row sum", "[paper]") {
  Problem in;
  const NadarayaWatson self{Biweight{}, FixedBandwidth{1.2}, SquaredDistance{}};
  const NadarayaWatson plain{Biweight{}, Unnormalized{.bandwidth = 1.2, .mass = 1.7}, SquaredDistance{}};
  const RowMatrix<double> w = plain.weights(in.q, in.k);
  RowMatrix<double> divided = plain(in.q, in.k, in.v);
  for (Index i = 0; i < w.rows(); ++i) divided.row(i) /= w.row(i).sum();
  REQUIRE(difference(divided, self(in.q, in.k, in.v), 1e-13L) == "");
}
