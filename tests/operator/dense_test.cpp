// Rows that give weight to most keys are formed as products of matrices. Here against the same
// operator in long double, which goes pair by pair.
#include <nadaraya/definitions.hpp>
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <Eigen/SparseCore>
#include <cmath>
#include <limits>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

template <class To>
RowMatrix<To> as(const RowMatrix<double>& x) {
  return x.cast<To>();
}

/// Queries of more than one block.
constexpr Index square_size = test::sanitized ? 130 : 230;

struct Problem {
  RowMatrix<double> q, k, v, g;

  /// Scores of that size on average.
  Problem(Index queries, Index keys, double level) {
    test::Random random(21);
    q = random.normal<double>(queries, 20, level);
    k = random.normal<double>(keys, 20);
    v = random.normal<double>(keys, 13);
    g = random.normal<double>(queries, 13);
  }
};

/// Output and gradients in Scalar, on several threads too, against long double.
template <class Scalar, class Op, class ExactGradients>
void check(const Op& op, const Problem& in, const RowMatrix<long double>& exact, const ExactGradients& expected,
           bool stores_support, long double tolerance) {
  const RowMatrix<Scalar> q = as<Scalar>(in.q), k = as<Scalar>(in.k), v = as<Scalar>(in.v), g = as<Scalar>(in.g);
  RowMatrix<Scalar> out;
  const auto tape = op.forward(q, k, v, out);
  REQUIRE(tape.stores_support(in.q.rows() - 1) == stores_support);
  REQUIRE(tape.support(in.q.rows() - 1).empty() == !stores_support);
  REQUIRE(difference(out, exact, tolerance) == "");
  REQUIRE(difference(op(q, k, v), out, 0) == "");
  const auto grads = op.backward(tape, g);
  REQUIRE(difference(grads.query, expected.query, tolerance, tolerance) == "");
  REQUIRE(difference(grads.key, expected.key, tolerance, tolerance) == "");
  REQUIRE(difference(grads.value, expected.value, tolerance, tolerance) == "");
  const long double scale_error = std::abs(grads.scale - expected.scale);
  REQUIRE(scale_error <= 100 * tolerance);

  RowMatrix<Scalar> threaded_out;
  const auto threaded = op.backward(op.forward(q, k, v, threaded_out, Threads{3}), g, Threads{3});
  REQUIRE(difference(threaded_out, out, 0) == "");
  REQUIRE(difference(threaded.query, grads.query, 0) == "");
  REQUIRE(difference(threaded.key, grads.key, 0) == "");
  REQUIRE(difference(threaded.value, grads.value, 0) == "");
}

template <class K, class M>
void check_kernel(const K& kernel, const M& mask, const Problem& in, bool stores_support) {
  const NadarayaWatson op(kernel, Adaptive{}, DotProduct{}, mask);
  RowMatrix<long double> exact;
  const auto exact_tape = op.forward(as<long double>(in.q), as<long double>(in.k), as<long double>(in.v), exact);
  const auto expected = op.backward(exact_tape, as<long double>(in.g));
  check<double>(op, in, exact, expected, stores_support, 1e-12L);
  check<float>(op, in, exact, expected, stores_support, 1e-3L);
}

}  // namespace

TEST_CASE("softmax by matrix products", "[operator][dense]") {
  // More keys than one stretch, more queries than one group.
  const Problem long_rows(50, 1100, 1.0);
  check_kernel(Gaussian{}, NoMask{}, long_rows, false);
  const Problem many_rows(2100, test::sanitized ? 20 : 70, 1.0);
  check_kernel(Gaussian{}, NoMask{}, many_rows, false);
  const Problem square(square_size, square_size, 1.0);
  check_kernel(Gaussian{}, Causal{}, square, false);
  check_kernel(Gaussian{}, SlidingWindow{40}, square, false);
  check_kernel(Gaussian{}, BooleanMask{[](Index i, Index j) { return (i + 2 * j) % 3 != 0; }}, square, false);
  check_kernel(Gaussian{}, AdditiveBias{Alibi{0.2}}, square, false);
}

TEST_CASE("flat rows of compact kernels by matrix products", "[operator][dense]") {
  const Problem flat(110, 300, 0.002);
  check_kernel(Epanechnikov{}, NoMask{}, flat, false);
  check_kernel(Biweight{}, NoMask{}, flat, false);
  check_kernel(Triweight{}, Causal{}, Problem(300, 300, 0.002), false);
  check_kernel(Biweight{}, NoMask{}, Problem(110, 300, 1.0), true);
}

TEST_CASE("flat rows under every mask", "[operator][dense]") {
  const Problem square(230, 230, 0.002);
  check_kernel(Biweight{}, SlidingWindow{150}, square, false);
  check_kernel(Biweight{}, BooleanMask{[](Index i, Index j) { return i % 50 != 7 && (j < 64 || (i + 2 * j) % 3 != 0); }}, square, false);
  check_kernel(Epanechnikov{}, AdditiveBias{Alibi{1e-5}}, square, false);
  check_kernel(Triweight{}, KeyLengths{201}, square, false);
  // So many keys that fewer queries are taken at once.
  check_kernel(Biweight{}, NoMask{}, Problem(test::sanitized ? 14 : 30, 9000, 0.0005), false);
}

TEST_CASE("rows that are flat where they are looked at first, but not everywhere", "[operator][dense]") {
  Problem in(200, 400, 1.0);
  in.k.topRows(64).setConstant(0.25);
  check_kernel(Epanechnikov{}, NoMask{}, in, true);
  check_kernel(Biweight{}, Causal{}, in, true);
  // Nor in the middle: then they are taken for flat, and the number of keys with weight is counted as for other rows.
  in.k.middleRows(192, 64).setConstant(0.25);
  check_kernel(Epanechnikov{}, NoMask{}, in, false);
  const NadarayaWatson op(Biweight{}, Adaptive{}, DotProduct{});
  RowMatrix<double> out;
  const auto tape = op.forward(in.q, in.k, in.v, out);
  REQUIRE(!tape.stores_support(0));
  const auto weights = op.weights(in.q, in.k);
  for (Index i = 0; i < 200; ++i) REQUIRE(tape.support_size(i) == weights.row(i).nonZeros());
}

TEST_CASE("flat rows that see what is not finite", "[operator][dense]") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const NadarayaWatson op(Biweight{}, Adaptive{}, DotProduct{}, Causal{});
  const Problem in(300, 300, 0.002);
  const RowMatrix<double> clean = op(in.q, in.k, in.v);
  RowMatrix<double> v = in.v, k = in.k;
  v(270, 3) = infinity;
  const RowMatrix<double> infinite = op(in.q, in.k, v);
  for (Index i = 0; i < 300; ++i) {
    for (Index c = 0; c < in.v.cols(); ++c) {
      if (i >= 270 && c == 3) {
        REQUIRE(infinite(i, c) == infinity);
      } else {
        REQUIRE(std::abs(infinite(i, c) - clean(i, c)) <= 1e-13);
      }
    }
  }
  k(280, 0) = nan;
  const RowMatrix<double> poisoned = op(in.q, k, in.v);
  for (Index i = 0; i < 300; ++i) {
    for (Index c = 0; c < in.v.cols(); ++c) {
      REQUIRE(std::isnan(poisoned(i, c)) == (i >= 280));
      if (i < 280) REQUIRE(std::abs(poisoned(i, c) - clean(i, c)) <= 1e-13);
    }
  }
}

TEST_CASE("NaN and infinity beside dense rows stay where they are", "[operator][dense]") {
  const Problem in(110, 300, 0.002);
  const auto check_op = [&](const auto& op) {
    const RowMatrix<double> clean = op(in.q, in.k, in.v);
    RowMatrix<double> k = in.k, v = in.v;
    k.row(299).setConstant(std::numeric_limits<double>::quiet_NaN());
    v.row(299).setConstant(std::numeric_limits<double>::infinity());
    RowMatrix<double> out;
    const auto tape = op.forward(in.q, k, v, out);
    REQUIRE(difference(out, clean, 0) == "");
    const auto grads = op.backward(tape, in.g);
    const auto expected = op.backward(op.forward(in.q, in.k, in.v, out), in.g);
    REQUIRE(difference(grads.query, expected.query, 0) == "");
    REQUIRE(difference(grads.value, expected.value, 1e-12L) == "");
  };
  check_op(NadarayaWatson(Gaussian{}, Adaptive{}, DotProduct{}, KeyLengths{299}));
  check_op(NadarayaWatson(Biweight{}, Adaptive{}, DotProduct{}, KeyLengths{299}));
}
