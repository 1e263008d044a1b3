// Few queries over many keys: heads that share keys, keys in parts, and both at once, against the oracle; the threads change
// no bit.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/executors.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

constexpr Index D = 16, Dv = 5, H = 6, Hk = 2;
/// The last part is shorter than the others.
constexpr Index many_keys = 20'500;

template <class Scalar>
struct Decoder {
  Index tokens;
  RowMatrix<Scalar> q, k[Hk], v[Hk];

  Decoder(Index queries, Index keys) : tokens(queries) {
    test::Random random(static_cast<std::uint64_t>(100 * queries + keys));
    q = random.normal<Scalar>(H * queries, D);
    for (Index h = 0; h < Hk; ++h) {
      k[h] = random.normal<Scalar>(keys, D);
      v[h] = random.normal<Scalar>(keys, Dv);
    }
  }

  template <class Attention, class E = Serial>
  RowMatrix<Scalar> operator()(const Attention& op, const E& executor = {}) const {
    std::vector<KeyValueCache<Scalar>> caches;
    for (Index h = 0; h < Hk; ++h) caches.emplace_back(D, Dv).append(k[h], v[h]);
    RowMatrix<Scalar> out(H * tokens, Dv);
    op(HeadView<const Scalar>::bhnd(q.data(), 1, H, tokens, D), std::span<const KeyValueCache<Scalar>>(caches),
       HeadView<Scalar>::bhnd(out.data(), 1, H, tokens, Dv), executor);
    return out;
  }

  RowMatrix<Scalar> queries_of(Index h) const { return q.middleRows(h * tokens, tokens); }
};

/// With any executor against the rows of the calling thread, which are returned.
template <class Scalar, class Attention>
RowMatrix<Scalar> check_executors(const Decoder<Scalar>& in, const Attention& attention) {
  const RowMatrix<Scalar> out = in(attention);
  REQUIRE(difference(in(attention, test::EachOf{7}), out, 0) == "");
  if (!test::sanitized) REQUIRE(difference(in(attention, test::EachOf{2}), out, 0) == "");
  REQUIRE(difference(in(attention, test::Backwards{}), out, 0) == "");
  const Workspace<Scalar> kept;
  REQUIRE(difference(in(attention, kept), out, 0) == "");
  REQUIRE(difference(in(attention, kept), out, 0) == "");
  return out;
}

/// Also against the oracle, head by head.
template <class Scalar, class OperatorOf, class Attention>
void check(const Decoder<Scalar>& in, const Attention& attention, const OperatorOf& operator_of, long double tolerance) {
  const RowMatrix<Scalar> out = check_executors(in, attention);
  for (Index h = 0; h < H; h += test::sanitized ? H : 1) {  // the oracle takes most of the time there
    INFO("head " << h << " of " << in.tokens << " queries");
    const auto expected =
        reference::attend<long double>(operator_of(h), in.queries_of(h), in.k[h * Hk / H], in.v[h * Hk / H]);
    REQUIRE(difference(out.middleRows(h * in.tokens, in.tokens), expected, tolerance) == "");
  }
}

/// One operator for all heads.
template <class Scalar, class Op>
void check(Index queries, Index keys, const Op& op, long double tolerance) {
  check(Decoder<Scalar>(queries, keys), Attention(op.kernel(), op.normalization(), op.similarity(), op.mask()),
        [&](Index) { return op; }, tolerance);
}

/// Scores of size 5 in float, and weights as steep as they are.
constexpr long double in_float = 3e-5L;
constexpr long double in_double = 1e-13L;

}  // namespace

TEST_CASE("few queries of heads that share keys", "[engine][few]") {
  check<double>(1, 300, NadarayaWatson{Gaussian{}}, in_double);
  check<double>(2, 1100, NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, Causal{}}, in_double);
  check<double>(3, 700, NadarayaWatson{Epanechnikov{}, Adaptive{}, DotProduct{}, SlidingWindow{90}}, in_double);
  check<double>(1, 700, NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{}, AdditiveBias{Alibi{0.01}} & Causal{}}, in_double);
  check<double>(1, 1100, NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, AdditiveBias{Alibi{0.01}} & Causal{}}, in_double);
  check<float>(5, 900, NadarayaWatson{Biweight{}}, in_float);
  check<float>(4, 900, NadarayaWatson{Gaussian{}}, in_float);
  check<double>(8, 1300, NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, Causal{}}, in_double);
  check<float>(9, 700, NadarayaWatson{Gaussian{}}, in_float);
  check<float>(1, 900, NadarayaWatson{Gaussian{}, NearestNeighbors{9}, DotProduct{}}, in_float);
}

TEST_CASE("few queries over parts of the keys", "[engine][few]") {
  check<float>(1, many_keys, NadarayaWatson{Biweight{}}, in_float);
  check<float>(2, many_keys, NadarayaWatson{Epanechnikov{}, Adaptive{}, DotProduct{}, Causal{}}, in_float);
  check<float>(1, many_keys, NadarayaWatson{Gaussian{}}, in_float);
  check<float>(1, many_keys, NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, KeyLengths{9000}}, in_float);
  check<float>(1, many_keys, NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{}, KeyLengths{0}}, 0);
  check<float>(1, many_keys, NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, KeyLengths{0}}, 0);
  check<double>(1, 5000, NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{}, AdditiveBias{Alibi{0.001}} & Causal{}}, in_double);
}

TEST_CASE("heads that share keys keep their own rule, mask and scale", "[engine][few]") {
  const auto check_each = [](const auto& operator_of, Index queries, Index keys) {
    std::vector<decltype(operator_of(0))> heads;
    for (Index h = 0; h < H; ++h) heads.push_back(operator_of(h));
    check(Decoder<double>(queries, keys), Attention(heads), operator_of, in_double);
  };
  check_each([](Index h) { return NadarayaWatson{RectifiedPower::with_alpha(1.3 + 0.1 * double(h))}; }, 1, 2000);
  check_each([](Index h) { return NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{.scale = 0.2 + 0.1 * double(h / 2)}}; },
             2, 2000);
  check_each([](Index h) { return NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, SlidingWindow{100 * (h + 1)}}; }, 1, 1700);
  check_each([](Index h) { return NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{}, KeyLengths{400 * h}}; }, 1, 3000);
}

TEST_CASE("ties across parts go to the first keys", "[engine][few]") {
  Decoder<float> in(1, many_keys);
  // The largest similarity of every query, once in each part and twice in the last: of three nearest, the first three.
  for (Index h = 0; h < Hk; ++h) {
    const RowMatrix<float> best = 3.0f * (in.q.row(3 * h) + in.q.row(3 * h + 1) + in.q.row(3 * h + 2));
    for (const Index j : {100, 9000, 18'000, 20'499}) in.k[h].row(j) = best;
  }
  const auto expect = [&](const auto& op, std::size_t kept) {
    check(in, Attention(op.kernel(), op.normalization(), op.similarity(), op.mask()), [&](Index) { return op; }, in_float);
    const RowMatrix<float> out = in(Attention(op.kernel(), op.normalization(), op.similarity(), op.mask()));
    constexpr Index at[] = {100, 9000, 18'000, 20'499};
    for (Index h = 0; h < H; ++h) {
      RowMatrix<float> mean = RowMatrix<float>::Zero(1, Dv);
      for (std::size_t i = 0; i < kept; ++i) mean += in.v[h * Hk / H].row(at[i]) / float(kept);
      REQUIRE(difference(out.row(h), mean, 1e-6L) == "");
    }
  };
  expect(NadarayaWatson{Uniform{}, NearestNeighbors{3}, DotProduct{}}, 3);
  expect(NadarayaWatson{Epanechnikov{}}, 4);
}

TEST_CASE("special values in one of the parts", "[engine][few]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto of = [](const auto& op, const Decoder<float>& in) {
    check(in, Attention(op.kernel(), op.normalization(), op.similarity(), op.mask()), [&](Index) { return op; }, in_float);
  };
  const auto each = [&](const auto& expect) {
    expect(NadarayaWatson{Biweight{}});
    expect(NadarayaWatson{Gaussian{}});
  };
  SECTION("a key of NaN") {
    each([&](const auto& op) {
      Decoder<float> in(1, many_keys);
      in.k[1](12'345, 3) = nan;
      const RowMatrix<float> out = check_executors(in, Attention(op.kernel(), op.normalization()));
      REQUIRE(!out.topRows(H / Hk).array().isNaN().any());
      REQUIRE(out.bottomRows(H / Hk).array().isNaN().all());
    });
  }
  SECTION("values that are not finite, with weight and without") {
    each([&](const auto& op) {
      Decoder<float> in(1, many_keys);
      in.v[0](17'000, 2) = std::numeric_limits<float>::infinity();
      in.v[1](4, 0) = nan;
      of(op, in);
    });
  }
  SECTION("a key far longer than the others") {
    each([&](const auto& op) {
      Decoder<float> in(1, many_keys);
      in.k[0].row(16'500) *= 50.0f;
      of(op, in);
    });
  }
}

TEST_CASE("a recorded call of few queries gives the same rows", "[engine][few]") {
  const auto check_tape = [](const auto& attention, Index queries, Index keys) {
    const Decoder<float> in(queries, keys);
    RowMatrix<float> k(Hk * keys, D), v(Hk * keys, Dv), out(H * queries, Dv), recorded = out;
    for (Index h = 0; h < Hk; ++h) {
      k.middleRows(h * keys, keys) = in.k[h];
      v.middleRows(h * keys, keys) = in.v[h];
    }
    const auto query = HeadView<const float>::bhnd(in.q.data(), 1, H, queries, D);
    const auto key = HeadView<const float>::bhnd(k.data(), 1, Hk, keys, D);
    const auto value = HeadView<const float>::bhnd(v.data(), 1, Hk, keys, Dv);
    attention(query, key, value, HeadView<float>::bhnd(out.data(), 1, H, queries, Dv));
    const auto tape = attention.forward(query, key, value, HeadView<float>::bhnd(recorded.data(), 1, H, queries, Dv),
                                        test::EachOf{3});
    REQUIRE(difference(recorded, out, 0) == "");
    // Gradients of heads that share keys are those of the heads one by one.
    RowMatrix<float> grad_q(H * queries, D), grad_k(Hk * keys, D), grad_v(Hk * keys, Dv);
    attention.backward(tape, HeadView<const float>::bhnd(out.data(), 1, H, queries, Dv),
                       HeadView<float>::bhnd(grad_q.data(), 1, H, queries, D),
                       HeadView<float>::bhnd(grad_k.data(), 1, Hk, keys, D),
                       HeadView<float>::bhnd(grad_v.data(), 1, Hk, keys, Dv));
    for (Index h = 0; h < H; ++h) {
      RowMatrix<float> one;
      const auto op = attention.head(0);
      const auto single = op.forward(in.queries_of(h), in.k[h * Hk / H], in.v[h * Hk / H], one);
      const RowMatrix<float> grad_out = out.middleRows(h * queries, queries);
      REQUIRE(tape.head(0, h).mean_support() == single.mean_support());
      REQUIRE(difference(grad_q.middleRows(h * queries, queries), op.backward(single, grad_out).query, 1e-4L) == "");
    }
  };
  check_tape(Attention{Biweight{}, Adaptive{}}, 2, 5000);
  check_tape(Attention{Gaussian{}, Adaptive{}}, 2, 1300);
}
