// Screening changes no result: the same support and weights with it and without, under every rule that has
// floors, for every kind of mask, and where it gives up on the way.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <Eigen/SparseCore>
#include <limits>

using namespace nadaraya;
using test::difference;

namespace {

template <class T>
struct Problem {
  RowMatrix<T> q, k, v;

  Problem(Index queries, Index keys, Index cols, double level, std::uint64_t seed = 1) {
    test::Random random(seed);
    q = random.normal<T>(queries, cols, level);
    k = random.normal<T>(keys, cols);
    v = random.normal<T>(keys, 9);
  }
};

/// Of numbers of size 1 that are formed from scores of size `level`.
template <class T>
long double tolerance(double level) {
  return 200 * std::numeric_limits<T>::epsilon() * (1 + level);
}

template <class T, class Op>
void check(const Op& op, const Problem<T>& in, double level) {
  const auto with = op.with(Screening::always), without = op.with(Screening::never);
  const long double allowed = tolerance<T>(level);
  RowMatrix<T> out, plain_out;
  const auto tape = with.forward(in.q, in.k, in.v, out);
  const auto plain = without.forward(in.q, in.k, in.v, plain_out);
  REQUIRE(difference(out, plain_out, allowed) == "");
  REQUIRE(difference(with(in.q, in.k, in.v), out, 0) == "");
  const RowMatrix<T> weights = with.weights(in.q, in.k), plain_weights = without.weights(in.q, in.k);
  REQUIRE(difference(weights, plain_weights, allowed) == "");
  const auto grads = with.backward(tape, out), plain_grads = without.backward(plain, plain_out);
  REQUIRE(difference(grads.query, plain_grads.query, 40 * allowed, 40 * allowed) == "");
  REQUIRE(difference(grads.key, plain_grads.key, 40 * allowed, 40 * allowed) == "");
  REQUIRE(difference(grads.value, plain_grads.value, 40 * allowed, 40 * allowed) == "");
  for (const int threads : {2, 3}) {
    RowMatrix<T> threaded;
    const auto other = with.forward(in.q, in.k, in.v, threaded, Threads{threads});
    REQUIRE(difference(threaded, out, 0) == "");
    REQUIRE(other.mean_support() == tape.mean_support());
  }
}

template <class T, class K, class N, class M = NoMask>
void check_rule(const K& kernel, const N& normalization, const M& mask = {}) {
  for (const double level : {0.05, 1.0, 6.0}) {
    const NadarayaWatson op(kernel, normalization, DotProduct{}, mask);
    INFO("scores of size " << level);
    check(op, Problem<T>(100, 530, 24, level), level);
  }
}

}  // namespace

TEST_CASE("screened: every rule with floors", "[operator][screening]") {
  SECTION("sparsemax") {
    check_rule<float>(Epanechnikov{}, Adaptive{});
    check_rule<double>(Epanechnikov{}, Adaptive{});
  }
  SECTION("4/3-entmax") { check_rule<float>(Triweight{}, Adaptive{}); }
  SECTION("any alpha") { check_rule<double>(RectifiedPower::with_alpha(1.7), Adaptive{}); }
  SECTION("ReLUmax") { check_rule<float>(Epanechnikov{}, Anchored{1.2}); }
  SECTION("top-k softmax") { check_rule<float>(Gaussian{}, NearestNeighbors{7}); }
  SECTION("top-k uniform") { check_rule<double>(Uniform{}, NearestNeighbors{70}); }
}

TEST_CASE("screened: every kind of mask", "[operator][screening]") {
  SECTION("causal") { check_rule<double>(Biweight{}, Adaptive{}, Causal{}); }
  SECTION("window") { check_rule<float>(Biweight{}, Adaptive{}, SlidingWindow{150}); }
  SECTION("holes") {
    const auto visible = [](Index i, Index j) { return (i * 31 + j * 17) % 5 != 0 && i != 50; };
    check_rule<float>(Biweight{}, Adaptive{}, BooleanMask(visible));
  }
}

TEST_CASE("screened: sizes around a panel, a block and a group of columns", "[operator][screening]") {
  const NadarayaWatson op{Biweight{}, Adaptive{}};
  for (const Index keys : {1, 63, 64, 65, 129, 257}) {
    for (const Index queries : {1, 2, 5, 6, 7, 96, 97}) {
      for (const Index cols : {1, 3, 16, 17, 33}) {
        CAPTURE(keys, queries, cols);
        const Problem<float> in(queries, keys, cols, 3.0);
        REQUIRE(difference(op.with(Screening::always)(in.q, in.k, in.v), op.with(Screening::never)(in.q, in.k, in.v), 1e-5L) == "");
      }
    }
  }
}

TEST_CASE("screened: keys that quantized ones tell little of", "[operator][screening]") {
  const auto check_keys = [&](const auto& change) {
    Problem<double> in(test::sanitized ? 48 : 96, test::sanitized ? 450 : 700, 24, 2.0);
    change(in);
    check(NadarayaWatson{Biweight{}, Adaptive{}}, in, 50.0);
    // Long lists are scored in two goes.
    check(NadarayaWatson{Uniform{}, NearestNeighbors{70}}, in, 50.0);
  };
  check_keys([](auto& in) { in.k.col(3) *= 40; });
  check_keys([](auto& in) { in.k.rowwise() += in.k.row(0) * 30; });
  check_keys([](auto& in) { in.k.row(100) *= 1e4; });
  check_keys([](auto& in) { in.k.rowwise() = in.k.row(0).eval(); });
  check_keys([](auto& in) { in.k.row(65) *= 1e20; });
  check_keys([](auto& in) { in.k *= 1e-25; });
  check_keys([](auto& in) {
    // Clusters, out of each other's reach.
    for (Index j = 0; j < in.k.rows(); ++j) in.k.row(j) = in.k.row(0) * static_cast<double>(j / 100) + 0.1 * in.k.row(j);
  });
}

TEST_CASE("screened: special values", "[operator][screening]") {
  const NadarayaWatson op(Biweight{}, Adaptive{}, DotProduct{}, KeyLengths{400});
  Problem<float> in(97, 500, 24, 2.0);
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const auto screened = op.with(Screening::always), plain = op.with(Screening::never);
  const RowMatrix<float> expected = screened(in.q, in.k, in.v);
  SECTION("behind the mask they change nothing") {
    in.k.bottomRows(100).setConstant(nan);
    in.v.bottomRows(100).setConstant(nan);
    // Their panel is scored as it is, with sums in another order.
    REQUIRE(difference(screened(in.q, in.k, in.v), expected, 1e-5L) == "");
  }
  SECTION("a query") {
    in.q(20, 3) = nan;
    const RowMatrix<float> out = screened(in.q, in.k, in.v);
    REQUIRE(out.row(20).array().isNaN().all());
    REQUIRE(difference(out, plain(in.q, in.k, in.v), 1e-5L) == "");
  }
  SECTION("a key") {
    in.k(130, 3) = nan;
    REQUIRE(screened(in.q, in.k, in.v).array().isNaN().all());
  }
  SECTION("an infinite key") {
    in.k(130, 3) = infinity;
    REQUIRE(difference(screened(in.q, in.k, in.v), plain(in.q, in.k, in.v), 1e-5L) == "");
  }
  SECTION("a value without weight") {
    const auto weights = plain.weights(in.q, in.k);
    for (Index j = 0; j < 500; ++j) {
      if (weights.col(j).sum() == 0) in.v.row(j).setConstant(nan);
    }
    REQUIRE(difference(screened(in.q, in.k, in.v), expected, 1e-5L) == "");
  }
}

TEST_CASE("screened: many heads, each with its own choice", "[operator][screening]") {
  Problem<float> in(4 * 80, 4 * 400, 16, 2.0);
  const auto run = [&](Screening screening) {
    const Attention op(std::vector{NadarayaWatson{Epanechnikov{}}.with(screening)});
    RowMatrix<float> out(4 * 80, 9);
    using View = HeadView<const float>;
    op(View::bhnd(in.q.data(), 2, 2, 80, 16), View::bhnd(in.k.data(), 2, 2, 400, 16), View::bhnd(in.v.data(), 2, 2, 400, 9),
       HeadView<float>::bhnd(out.data(), 2, 2, 80, 9), Threads{2});
    return out;
  };
  REQUIRE(difference(run(Screening::always), run(Screening::never), 1e-5L) == "");
}

TEST_CASE("screened: where a sample of the keys says that it pays", "[operator][screening]") {
  // Machines without products of bytes screen longer sequences, or none.
  if (!engine::worth_screening(500, 500, 32) || engine::screening_needs().keys > 330) return;
  // Similarities of screened blocks are summed in another order, which tells them apart.
  const auto chosen = [](const auto& op, const Problem<float>& in) {
    const RowMatrix<float> out = op(in.q, in.k, in.v), screened = op.with(Screening::always)(in.q, in.k, in.v);
    const RowMatrix<float> scanned = op.with(Screening::never)(in.q, in.k, in.v);
    REQUIRE(difference(screened, scanned, 0) != "");
    REQUIRE((difference(out, screened, 0) == "" || difference(out, scanned, 0) == ""));
    return difference(out, screened, 0) == "";
  };
  const auto in = [](Index keys) { return Problem<float>(500, keys, 32, 1.0); };
  REQUIRE_FALSE(chosen(NadarayaWatson{Epanechnikov{}, Adaptive{}}, in(330)));
  REQUIRE(chosen(NadarayaWatson{Epanechnikov{}, Adaptive{}}, in(500)));
  REQUIRE_FALSE(chosen(NadarayaWatson{Biweight{}, Adaptive{}}, in(450)));
  REQUIRE(chosen(NadarayaWatson{Biweight{}, Adaptive{}}, in(1500)));
}
