// What nobody sees changes nothing: keys that a mask hides, queries that see no key, values without weight and gradients
// of empty rows may hold NaN, infinity and numbers that overflow. Forward and backward are those of the same problem with
// ordinary numbers there, and gradients of what is hidden are zeros. Bit for bit, but for screening, whose way to the
// floors depends on all keys of a panel, and for grids, where queries come in another order.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"

#include <Eigen/SparseCore>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace nadaraya;
using test::AnyBias;
using test::AnyMask;
using test::difference;

namespace {

using T = float;
using Matrix = RowMatrix<T>;

constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();
constexpr T infinity = std::numeric_limits<T>::infinity();

bool key_is_hidden(Index j) { return j == 3 || j == 64 || j >= 90; }
bool query_is_blind(Index i) { return i == 1 || i == 77; }

/// Of 96 keys.
const AnyMask mask{"hidden", [](Index i, const Extent& n) { return query_is_blind(i) && i == 1 ? KeyRange{} : n.clip(0, 93); },
                   [](Index i, Index j, const Extent&) { return !query_is_blind(i) && !key_is_hidden(j); }};

/// The same by a bias of minus infinity.
const AnyBias bias{{"hidden by a bias", [](Index, const Extent& n) { return n.clip(0, n.keys); }, [](Index, Index, const Extent&) { return true; }},
                   [](Index i, Index j, const Extent&) {
                     return query_is_blind(i) || key_is_hidden(j) ? -std::numeric_limits<double>::infinity() : 0.0;
                   }};

/// A transformation of rows of a user's own, whose pullback knows nothing of zeros.
struct Halved : DotProduct {
  template <class X>
  RowMatrix<ScalarOf<X>> prepared(const X& rows) const {
    return rows / ScalarOf<X>(2);
  }
  template <class X, class P, class D>
  RowMatrix<ScalarOf<X>> prepared_pullback(const X& rows, const P&, const D& grad) const {
    using Scalar = ScalarOf<X>;
    return grad / Scalar(2) + Scalar(0) * rows;
  }
};

struct Problem {
  Matrix q, k, v, g;

  explicit Problem(Index queries, double level = 1.0) {
    test::Random random(31);
    q = random.normal<T>(queries, 4, level);
    k = random.normal<T>(96, 4);
    v = random.normal<T>(96, 5);
    g = random.normal<T>(queries, 5);
  }

  void fill_hidden(T key, T query, T value, T grad) {
    for (Index j = 0; j < k.rows(); ++j) {
      if (!key_is_hidden(j)) continue;
      k.row(j).setConstant(key);
      v.row(j).setConstant(value);
    }
    for (Index i = 0; i < q.rows(); ++i) {
      if (!query_is_blind(i)) continue;
      q.row(i).setConstant(query);
      g.row(i).setConstant(grad);
    }
  }
};

template <class Grads>
void check_zeros(const Grads& grads) {
  for (Index j = 0; j < grads.key.rows(); ++j) {
    if (!key_is_hidden(j)) continue;
    CAPTURE(j);
    REQUIRE(grads.key.row(j).isZero(0));
    REQUIRE(grads.value.row(j).isZero(0));
  }
  for (Index i = 0; i < grads.query.rows(); ++i) {
    if (query_is_blind(i)) REQUIRE(grads.query.row(i).isZero(0));
  }
}

template <class Grads>
void check_same(const Grads& grads, const Grads& expected, long double tolerance = 0) {
  REQUIRE(difference(grads.query, expected.query, tolerance, tolerance) == "");
  REQUIRE(difference(grads.key, expected.key, tolerance, tolerance) == "");
  REQUIRE(difference(grads.value, expected.value, tolerance, tolerance) == "");
  const auto near = [&](T a, T b) { return a == b || std::abs(a - b) <= 1000 * tolerance; };
  if constexpr (requires { grads.scale; }) REQUIRE(near(grads.scale, expected.scale));
  if constexpr (requires { grads.bandwidth; }) REQUIRE(near(grads.bandwidth, expected.bandwidth));
  if constexpr (requires { grads.alpha; }) REQUIRE(near(grads.alpha, expected.alpha));
}

/// Few queries, many, and scores so flat that pairs are formed again. Scores are about `size`.
template <class Op>
void check(const std::string& name, const Op& plain, double size = 1) {
  INFO(name);
  const T filled[][4] = {{not_a_number, not_a_number, not_a_number, not_a_number},
                         {infinity, -infinity, infinity, infinity},
                         {3e38f, 3e38f, 3e38f, 3e38f},
                         {-3e38f, 1e-45f, -3e38f, -3e38f}};
  for (const Screening screening : {Screening::never, Screening::always}) {
    const Op op = plain.with(screening);
    const long double tolerance = screening == Screening::always ? 200 * std::numeric_limits<T>::epsilon() * size : 0;
    for (const Index queries : {3, 100}) {
      for (const double level : {0.05, 1.0}) {
        CAPTURE(queries, level, screening == Screening::always);
        const Problem clean(queries, level);
        Matrix expected, out;
        const auto clean_tape = op.forward(clean.q, clean.k, clean.v, expected);
        const auto expected_grads = op.backward(clean_tape, clean.g);
        check_zeros(expected_grads);
        for (const auto& fill : filled) {
          CAPTURE(fill[0]);
          Problem in = clean;
          in.fill_hidden(fill[0], fill[1], fill[2], fill[3]);
          const auto tape = op.forward(in.q, in.k, in.v, out);
          REQUIRE(difference(out, expected, tolerance) == "");
          const auto grads = op.backward(tape, in.g);
          check_zeros(grads);
          check_same(grads, expected_grads, tolerance);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("what is hidden changes nothing: dot products", "[operator][screening][hidden]") {
  check("1.5-entmax", NadarayaWatson(Biweight{}, Adaptive{}, DotProduct{}, mask));
  check("softmax", NadarayaWatson(Gaussian{}, Adaptive{}, DotProduct{}, mask));
  check("any alpha", NadarayaWatson(RectifiedPower::with_alpha(1.7), Adaptive{}, DotProduct{}, mask));
  check("a scale that overflows", NadarayaWatson(Biweight{}, Adaptive{}, DotProduct{30.0}, mask), 60);
  check("nearest", NadarayaWatson(Gaussian{}, NearestNeighbors{5}, DotProduct{}, mask));
}

TEST_CASE("what is hidden changes nothing: a bias", "[operator][hidden]") {
  check("1.5-entmax", NadarayaWatson(Biweight{}, Adaptive{}, DotProduct{}, bias));
  check("softmax", NadarayaWatson(Gaussian{}, Adaptive{}, DotProduct{}, bias));
}

TEST_CASE("what is hidden changes nothing: prepared rows and distances", "[operator][hidden]") {
  check("cosine", NadarayaWatson(Biweight{}, FixedBandwidth{1.2}, Cosine{}, mask));
  check("cosine, dense", NadarayaWatson(Gaussian{}, Adaptive{}, Cosine{2.0}, mask));
  check("a user's rows", NadarayaWatson(Biweight{}, Adaptive{}, Halved{}, mask));
  check("nearest", NadarayaWatson(Biweight{}, NearestNeighbors{7}, SquaredDistance{}, mask));
}

TEST_CASE("what is hidden changes nothing: heads that share their keys", "[operator][hidden]") {
  const auto run = [](const auto& op, Problem& in) {
    const Attention heads(std::vector{op});
    using In = HeadView<const T>;
    const Index each = in.q.rows() / 2;
    Matrix out(in.q.rows(), 5);
    struct {
      Matrix query, key, value;
    } grads{Matrix(in.q.rows(), 4), Matrix(96, 4), Matrix(96, 5)};
    const auto tape = heads.forward(In::bhnd(in.q.data(), 1, 2, each, 4), In::bhnd(in.k.data(), 1, 1, 96, 4),
                                    In::bhnd(in.v.data(), 1, 1, 96, 5), HeadView<T>::bhnd(out.data(), 1, 2, each, 5));
    heads.backward(tape, In::bhnd(in.g.data(), 1, 2, each, 5), HeadView<T>::bhnd(grads.query.data(), 1, 2, each, 4),
                   HeadView<T>::bhnd(grads.key.data(), 1, 1, 96, 4), HeadView<T>::bhnd(grads.value.data(), 1, 1, 96, 5));
    return grads;
  };
  const auto compare = [&](const auto& op) {
    // Query 1 is blind in both heads.
    for (const double level : {0.05, 1.0}) {
      Problem in(100, level);
      const auto expected = run(op, in);
      const auto fill = [&](T with) {
        in.fill_hidden(with, with, with, with);
        in.q.row(77) = Problem(100, level).q.row(77);
        in.g.row(77) = Problem(100, level).g.row(77);
        in.q.row(51).setConstant(with);
        in.g.row(51).setConstant(with);
      };
      for (const T with : {not_a_number, infinity, 3e38f}) {
        fill(with);
        const auto grads = run(op, in);
        check_same(grads, expected);
        REQUIRE(grads.query.row(1).isZero(0));
        REQUIRE(grads.query.row(51).isZero(0));
        REQUIRE(grads.key.row(3).isZero(0));
      }
    }
  };
  compare(NadarayaWatson(Biweight{}, Adaptive{}, DotProduct{}, mask));
  compare(NadarayaWatson(Biweight{}, FixedBandwidth{1.2}, Cosine{}, mask));
}

TEST_CASE("a grid finds nothing that is hidden", "[operator][hidden]") {
  test::Random random(33);
  Matrix q = random.normal<T>(400, 2), k = random.normal<T>(1500, 2);
  const Matrix v = random.normal<T>(1500, 3), g = random.normal<T>(400, 3);
  const AnyMask some{"some", [](Index, const Extent& n) { return n.clip(0, n.keys); },
                     [](Index i, Index j, const Extent&) { return i % 50 != 7 && j % 100 != 7; }};
  const NadarayaWatson op(Biweight{}, FixedBandwidth{0.3}, SquaredDistance{}, some);
  Matrix expected, out;
  const auto clean = op.backward(op.forward(q, k, v, expected), g);
  const Matrix clean_q = q, clean_k = k;
  for (const T with : {not_a_number, infinity, 3e38f}) {
    for (Index j = 7; j < 1500; j += 100) k.row(j).setConstant(with);
    for (Index i = 7; i < 400; i += 50) q.row(i).setConstant(with);
    const auto tape = op.forward(q, k, v, out);
    REQUIRE(difference(out, expected, 0) == "");
    check_same(op.backward(tape, g), clean, 1e-5L);
  }
}

TEST_CASE("keys without weight have no gradient where that of the row is NaN", "[operator][hidden]") {
  // Recorded, and, where most have weight, formed again by few queries and by many.
  const AnyMask all{"all", [](Index, const Extent& n) { return n.clip(0, n.keys); }, [](Index, Index, const Extent&) { return true; }};
  for (const Index queries : {3, 100}) {
    Index flat = 0;
    for (const double level : {0.05, 0.07, 0.1, 0.14, 4.0}) {
      CAPTURE(queries, level);
      Problem in(queries, level);
      const NadarayaWatson op(Biweight{}, Adaptive{}, DotProduct{1.0}, all);
      in.g.row(2).setConstant(not_a_number);
      Matrix out;
      const auto tape = op.forward(in.q, in.k, in.v, out);
      const auto grads = op.backward(tape, in.g);
      const Matrix weights = op.weights(in.q, in.k);
      Index without = 0;
      for (Index j = 0; j < 96; ++j) {
        without += weights(2, j) > 0 ? 0 : 1;
        REQUIRE(grads.key.row(j).array().isNaN().any() == (weights(2, j) > 0));
        REQUIRE(grads.value.row(j).array().isNaN().any() == (weights(2, j) > 0));
      }
      flat += tape.stores_support(2) || without == 0 ? 0 : 1;
    }
    REQUIRE(flat > 0);
  }
}
