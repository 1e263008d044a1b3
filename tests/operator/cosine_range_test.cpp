// The cosine of rows at the ends of the range: it depends on directions alone, however long or short rows are.
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <limits>

using namespace nadaraya;
using test::difference;

namespace {

template <class T>
T power_of_two(int exponent) {
  return std::scalbn(T(1), exponent);
}

}  // namespace

TEMPLATE_TEST_CASE("rows of any length have the direction of ordinary ones, and gradients over it", "[operator][cosine]", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  test::Random random(41);
  RowMatrix<T> x = random.normal<T>(7, 9), g = random.normal<T>(7, 9);
  // On a grid, so that denormal numbers hold them.
  for (T& value : x.reshaped()) value = std::round(value * 4) / 4;
  x.row(3).setZero();
  const Cosine cosine;
  const RowMatrix<T> unit = cosine.prepared(x), pulled = cosine.prepared_pullback(x, unit, g);
  for (Index i = 0; i < 7; ++i) REQUIRE(std::abs(unit.row(i).squaredNorm() - (i == 3 ? T(0) : T(1))) <= 16 * Limits::epsilon());
  for (const int exponent : {Limits::max_exponent - 4, 100, 70, 1, -70, -100, Limits::min_exponent, Limits::min_exponent - Limits::digits + 3}) {
    CAPTURE(exponent);
    const RowMatrix<T> scaled = x * power_of_two<T>(exponent);
    const RowMatrix<T> direction = cosine.prepared(scaled);
    REQUIRE(direction == unit);
    // Of size 2^-exponent: compared where it is in range.
    const RowMatrix<T> gradient = cosine.prepared_pullback(scaled, direction, g);
    REQUIRE(gradient.row(3).isZero(0));
    if (std::abs(exponent) < Limits::max_exponent - 8) REQUIRE(difference(gradient * power_of_two<T>(exponent), pulled, 1e-5L) == "");
    if (exponent == Limits::max_exponent - 4) REQUIRE((gradient.row(0).array() != 0).any());
  }
}

TEMPLATE_TEST_CASE("cosine attention over huge, tiny and mixed rows is that of the oracle", "[operator][cosine]", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  test::Random random(42);
  const NadarayaWatson op(Biweight{}, Adaptive{}, Cosine{.scale = 3.0});
  const T huge = Limits::max() / T(4), tiny = Limits::min() / T(1000);
  for (const Index queries : {2, 9}) {
    RowMatrix<T> q = random.normal<T>(queries, 6).cwiseMin(T(3)).cwiseMax(T(-3)), k = random.normal<T>(80, 6).cwiseMin(T(3)).cwiseMax(T(-3));
    const RowMatrix<T> v = random.normal<T>(80, 4);
    q.row(0) *= huge;
    q.row(1) *= tiny;
    for (Index j = 0; j < 20; ++j) k.row(j) *= huge;
    for (Index j = 20; j < 40; ++j) k.row(j) *= tiny;
    for (Index j = 40; j < 50; ++j) k(j, j % 6) = Limits::max();  // one among small ones
    for (Index j = 50; j < 55; ++j) k.row(j).setConstant(-Limits::max());
    for (Index j = 55; j < 60; ++j) k.row(j).setConstant(Limits::denorm_min());
    k.row(60).setZero();
    RowMatrix<T> out;
    const auto tape = op.forward(q, k, v, out);
    const RowMatrix<long double> expected = reference::attend<long double>(op, q, k, v);
    REQUIRE(difference(out, expected, 64 * Limits::epsilon()) == "");
    // The oracle in the same range.
    REQUIRE(difference(reference::attend<T>(op, q, k, v), expected, 64 * Limits::epsilon()) == "");
    const auto grads = op.backward(tape, RowMatrix<T>(v.topRows(queries)));
    REQUIRE(grads.key.topRows(20).allFinite());
    REQUIRE(grads.key.middleRows(40, 15).allFinite());
    REQUIRE(grads.query.row(0).allFinite());
    REQUIRE(grads.key.row(60).isZero(0));
  }
}

TEST_CASE("NaN under the cosine counts, also beside zero rows", "[operator][cosine]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const NadarayaWatson op(Biweight{}, Adaptive{}, Cosine{.scale = 3.0});
  RowMatrix<float> q = RowMatrix<float>::Ones(2, 3), k = RowMatrix<float>::Zero(5, 3);
  const RowMatrix<float> v = RowMatrix<float>::Ones(5, 2);
  q(1, 2) = nan;
  RowMatrix<float> out = op(q, k, v);
  REQUIRE(out.row(0).allFinite());
  REQUIRE(out.row(1).array().isNaN().all());
  q(1, 2) = 1;
  k(4, 0) = nan;
  out = op(q, k, v);
  REQUIRE(out.array().isNaN().all());
}
