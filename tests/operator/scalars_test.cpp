// Any scalar through the same code: automatic differentiation agrees with backward, long double with
// the oracle, and float is as accurate as the dense textbook computation.
#include <nadaraya/definitions.hpp>
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <unsupported/Eigen/AutoDiff>

using namespace nadaraya;
using test::difference;

namespace {

/// dL/dquery, dL/dkey and dL/dvalue of L = sum(out * g) by one forward pass over dual numbers.
template <class Op>
void agrees_with_automatic_differentiation(const Op& op) {
  constexpr Index nq = 4, nk = 6, d = 2, dv = 2;
  constexpr int inputs = nq * d + nk * d + nk * dv;
  using Dual = Eigen::AutoDiffScalar<Eigen::Matrix<double, inputs, 1>>;
  test::Random random(3);
  const auto q = random.normal<double>(nq, d);
  const auto k = random.normal<double>(nk, d);
  const auto v = random.normal<double>(nk, dv);
  const auto g = random.normal<double>(nq, dv);
  int next = 0;
  const auto dual = [&](const RowMatrix<double>& x) {
    RowMatrix<Dual> result(x.rows(), x.cols());
    for (Index i = 0; i < x.rows(); ++i) {
      for (Index j = 0; j < x.cols(); ++j) result(i, j) = Dual(x(i, j), inputs, next++);
    }
    return result;
  };
  const RowMatrix<Dual> dual_q = dual(q), dual_k = dual(k), dual_v = dual(v);
  const RowMatrix<Dual> dual_out = op(dual_q, dual_k, dual_v);
  Eigen::Matrix<double, inputs, 1> expected = Eigen::Matrix<double, inputs, 1>::Zero();
  for (Index i = 0; i < nq; ++i) {
    for (Index j = 0; j < dv; ++j) {
      if (dual_out(i, j).derivatives().size() > 0) expected += g(i, j) * dual_out(i, j).derivatives();
    }
  }
  RowMatrix<double> out;
  const auto tape = op.forward(q, k, v, out);
  const auto grads = op.backward(tape, g);
  Eigen::Matrix<double, inputs, 1> actual;
  actual << Eigen::Map<const Eigen::VectorXd>(grads.query.data(), nq * d),
      Eigen::Map<const Eigen::VectorXd>(grads.key.data(), nk * d),
      Eigen::Map<const Eigen::VectorXd>(grads.value.data(), nk * dv);
  REQUIRE(difference(actual, expected, 1e-12L, 1e-12L) == "");
  REQUIRE(actual.cwiseAbs().maxCoeff() > 0.01);
}

}  // namespace

TEST_CASE("automatic differentiation agrees with backward", "[operator][scalars]") {
  agrees_with_automatic_differentiation(NadarayaWatson{Epanechnikov{}, Adaptive{}});
  agrees_with_automatic_differentiation(NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{}, Causal{}});
  agrees_with_automatic_differentiation(NadarayaWatson{Triweight{}, Adaptive{}, Cosine{.scale = 3.0}});
  agrees_with_automatic_differentiation(NadarayaWatson{RectifiedPower::with_exponent(1.7), Adaptive{}});
  agrees_with_automatic_differentiation(NadarayaWatson{Gaussian{}, Adaptive{}});
  agrees_with_automatic_differentiation(NadarayaWatson{Biweight{}, FixedBandwidth{2.0}, SquaredDistance{}});
  agrees_with_automatic_differentiation(NadarayaWatson{Epanechnikov{}, Anchored{1.0}});
  agrees_with_automatic_differentiation(NadarayaWatson{Gaussian{}, NearestNeighbors{3}});
}

TEST_CASE("long double keeps its digits", "[operator][scalars]") {
  test::Random random(8);
  const auto q = random.normal<long double>(7, 3);
  const auto k = random.normal<long double>(40, 3);
  const auto v = random.normal<long double>(40, 2);
  const auto check = [&](const auto& op) {
    REQUIRE(difference(op(q, k, v), reference::attend<long double>(op, q, k, v), 1e-17L) == "");
  };
  check(NadarayaWatson{Epanechnikov{}, Adaptive{}});
  check(NadarayaWatson{Triweight{}, Adaptive{}});
  check(NadarayaWatson{Gaussian{}, Adaptive{}});
  check(NadarayaWatson{Biweight{}, FixedBandwidth{2.0}, SquaredDistance{}});
}

TEMPLATE_TEST_CASE("float is as accurate as the textbook", "[operator][scalars]", Epanechnikov, Biweight, Triweight,
                   Gaussian) {
  const NadarayaWatson op{TestType{}, Adaptive{}};
  for (const double scale : {0.25, 1.0, 4.0}) {
    long double ours = 0, textbook = 0, largest_value = 0;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      test::Random random(seed);
      const auto q = random.normal<float>(16, 64, scale);
      const auto k = random.normal<float>(257, 64);
      const auto v = random.normal<float>(257, 16);
      const auto worst = [&](const auto& out, const auto& exact) {
        return (out.template cast<long double>() - exact).cwiseAbs().maxCoeff();
      };
      const RowMatrix<long double> exact = reference::attend<long double>(op, q, k, v);
      ours = (std::max)(ours, worst(op(q, k, v), exact));
      textbook = (std::max)(textbook, worst(reference::attend<float>(op, q, k, v), exact));
      largest_value = (std::max)(largest_value, static_cast<long double>(v.cwiseAbs().maxCoeff()));
    }
    INFO("scores x " << scale << ": ours " << static_cast<double>(ours) << ", textbook "
                     << static_cast<double>(textbook));
    REQUIRE(ours <= 2 * textbook + 2 * 1.2e-7L * largest_value);
  }
}
