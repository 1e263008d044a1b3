// Local linear and local polynomial attention: the oracle is dense weighted least squares, the gradients are compared with
// finite differences.
#include <nadaraya/chosen_operator.hpp>
#include <nadaraya/reference.hpp>

#include "gradients/check.hpp"
#include "support/catch.hpp"
#include "support/close.hpp"
#include "support/executors.hpp"
#include "support/random.hpp"
#include "support/sanitized.hpp"

#include <Eigen/SparseCore>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace nadaraya;
using catch_shim::contains;
using test::difference;
using test::Wide;

namespace {

constexpr double ridge = 0.05;

/// The operator on some rows, its gradients against finite differences.
template <class Op>
void check(const std::string& name, const Op& op, Index dimension = 3) {
  INFO(name);
  test::Random random(7);
  const auto q = random.normal<double>(5, dimension), k = random.normal<double>(9, dimension), v = random.normal<double>(9, 2),
             g = random.normal<double>(5, 2);
  RowMatrix<double> out;
  const auto tape = op.forward(q, k, v, out);
  REQUIRE(difference(out, reference::attend<long double>(op, q, k, v), 1e-10L, 1e-10L) == "");
  REQUIRE(difference(op(q, k, v), out, 0) == "");
  REQUIRE(difference(RowMatrix<double>(op.weights(q, k)), reference::weights<long double>(op, q, k), 1e-10L, 1e-10L) == "");
  const auto plain = op.with(LocalConstant{});
  for (Index i = 0; i < q.rows(); ++i) REQUIRE(tape.support_size(i) == plain.forward(q, k, v, out).support_size(i));

  const auto grads = op.backward(tape, g);
  test::Tally tally;
  const Wide wq = q.cast<long double>(), wk = k.cast<long double>(), wv = v.cast<long double>();
  const auto solved = [&](const auto& varied, const Wide& at_q, const Wide& at_k, const Wide& at_v) {
    const long double loss = reference::attend<long double>(varied, at_q, at_k, at_v).cwiseProduct(g.cast<long double>()).sum();
    return std::pair<long double, Wide>(loss, reference::weights<long double>(varied.with(LocalConstant{}), at_q, at_k));
  };
  test::compare_operands(grads.query, grads.key, grads.value,
                         [&](const Wide& by_q, const Wide& by_k, const Wide& by_v) { return solved(op, wq + by_q, wk + by_k, wv + by_v); },
                         tally);
  const auto at_ridge = [&](double value) {
    auto mix = op.mix();
    mix.ridge = value;
    return solved(op.with(mix), wq, wk, wv);
  };
  test::compare_parameter(grads.ridge, op.mix().ridge, at_ridge, tally, "ridge");
  if constexpr (requires { grads.bandwidth; }) {
    const auto at_bandwidth = [&](double value) {
      auto normalization = op.normalization();
      normalization.bandwidth = value;
      return solved(NadarayaWatson(op.kernel(), normalization, op.similarity(), op.mask(), op.mix()), wq, wk, wv);
    };
    test::compare_parameter(grads.bandwidth, op.normalization().bandwidth, at_bandwidth, tally, "bandwidth");
  }
  if constexpr (requires { grads.alpha; }) {
    const auto at_alpha = [&](double value) {
      return solved(NadarayaWatson(RectifiedPower::with_alpha(value), op.normalization(), op.similarity(), op.mask(), op.mix()),
                    wq, wk, wv);
    };
    test::compare_parameter(grads.alpha, op.kernel().alpha(), at_alpha, tally, "alpha");
  }
  if constexpr (requires { op.similarity().scale + 1.0; }) {
    const auto at_scale = [&](double value) {
      auto similarity = op.similarity();
      similarity.scale = value;
      return solved(NadarayaWatson(op.kernel(), op.normalization(), similarity, op.mask(), op.mix()), wq, wk, wv);
    };
    test::compare_parameter(grads.scale, op.similarity().scale, at_scale, tally, "scale");
  }
  REQUIRE((test::sanitized || tally.left_out * 20 < tally.compared));
}

}  // namespace

TEST_CASE("local linear attention against least squares and finite differences", "[local_linear]") {
  const LocalLinear mix{ridge};
  const DotProduct dot{0.4};
  const NadarayaWatson entmax{Biweight{}, Adaptive{}, dot, Causal{}, mix};
  check("softmax", NadarayaWatson{Gaussian{}, Adaptive{}, dot, NoMask{}, mix});
  check("1.5-entmax, causal", entmax);
  check("more columns than keys", entmax, 12);
  check("alpha-entmax of distances", NadarayaWatson{RectifiedPower::with_alpha(1.3), Adaptive{}, SquaredDistance{0.5}, Causal{}, mix});
  check("fixed, causal, cosine", NadarayaWatson{Triweight{}, FixedBandwidth{1.5}, Cosine{}, Causal{}, mix});
  check("anchored", NadarayaWatson{Biweight{}, Anchored{1.5}, dot, Causal{}, mix});
  check("nearest, borrowing the bandwidth", NadarayaWatson{Biweight{}, NearestNeighbors{5}, SquaredDistance{}, Causal{}, mix});
}

TEST_CASE("local polynomial attention against least squares and finite differences", "[local_linear]") {
  check("quadratic", NadarayaWatson{Gaussian{}, FixedBandwidth{1.5}, SquaredDistance{}, NoMask{}, LocalPolynomial<2>{ridge}}, 2);
}

namespace {

/// The same bits for any number of threads, and in the memory of an earlier call.
template <class Op>
void check_bits(const std::string& name, const Op& op) {
  INFO(name);
  test::Random random(11);
  const auto q = random.normal<float>(230, 9), k = random.normal<float>(270, 9), v = random.normal<float>(270, 5),
             g = random.normal<float>(230, 5);
  RowMatrix<float> out, again;
  const auto tape = op.forward(q, k, v, out);
  const auto grads = op.backward(tape, g);
  for (const int threads : test::sanitized ? std::vector{5} : std::vector{2, 5}) {
    const test::EachOf executor{threads};
    const auto threaded = op.forward(q, k, v, again, executor);
    REQUIRE(again == out);
    const auto other = op.backward(threaded, g, executor);
    REQUIRE(other.query == grads.query);
    REQUIRE(other.key == grads.key);
    REQUIRE(other.value == grads.value);
    REQUIRE(other.ridge == grads.ridge);
  }
  REQUIRE(op(q, k, v, test::Backwards{}) == out);
}

HeadView<float> view(RowMatrix<float>& rows, Index heads) {
  return HeadView<float>::bhnd(rows.data(), 1, heads, rows.rows() / heads, rows.cols());
}

}  // namespace

TEST_CASE("local linear attention has the same bits for any number of threads", "[local_linear]") {
  const LocalLinear mix{1e-2};
  check_bits("1.5-entmax", NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{}, Causal{}, mix});
  check_bits("softmax", NadarayaWatson{Gaussian{}}.with(mix));
  check_bits("flat scores", NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{0.01}, NoMask{}, mix});
  check_bits("fixed bandwidth", NadarayaWatson{Biweight{}, FixedBandwidth{4.0}, SquaredDistance{}, NoMask{}, mix});
}

TEST_CASE("local linear attention in float, whatever way its rows are found", "[local_linear]") {
  const LocalLinear mix{1e-2};
  const auto near_reference = [](const std::string& name, const auto& op, const auto& q, const auto& k, const auto& v) {
    INFO(name);
    REQUIRE(difference(op(q, k, v), reference::attend<double>(op, q, k, v), 2e-3L, 1e-3L) == "");
  };
  test::Random random(5);
  const auto q = random.normal<float>(40, 16), k = random.normal<float>(200, 16), v = random.normal<float>(200, 4);
  near_reference("scanned", NadarayaWatson{Biweight{}, Adaptive{}}.with(mix), q, k, v);
  near_reference("screened", NadarayaWatson{Biweight{}, Adaptive{}}.with(Screening::always).with(mix), q, k, v);
  near_reference("one query", NadarayaWatson{Gaussian{}}.with(mix), q.topRows(1), k, v);
  const auto x = random.normal<float>(3000, 2), y = random.normal<float>(3000, 1);
  near_reference("by a grid", NadarayaWatson{Biweight{}, FixedBandwidth{0.2}, SquaredDistance{}, NoMask{}, LocalLinear{1e-3}},
                 x.topRows(60), x, y);
}

TEST_CASE("local linear attention is flat where the ridge is large, and exact on planes where it is small", "[local_linear]") {
  test::Random random(3);
  const auto q = random.normal<double>(30, 3, 0.5), k = random.normal<double>(80, 3), v = random.normal<double>(80, 2);
  const NadarayaWatson plain{Biweight{}, Adaptive{}, SquaredDistance{0.3}};
  REQUIRE(difference(plain.with(LocalLinear{1e12})(q, k, v), plain(q, k, v), 1e-10L) == "");
  const auto slopes = random.normal<double>(3, 2);
  const RowMatrix<double> plane = (k * slopes).rowwise() + Eigen::RowVector2d(1.0, -2.0);
  const RowMatrix<double> expected = (q * slopes).rowwise() + Eigen::RowVector2d(1.0, -2.0);
  REQUIRE(difference(plain.with(LocalLinear{1e-12})(q, k, plane), expected, 1e-8L) == "");
  REQUIRE(difference(attend(Biweight{}, Adaptive{}, SquaredDistance{0.3}, LocalLinear{1e-12}, q, k, plane), expected, 1e-8L) == "");
  REQUIRE(attend(Biweight{}, Adaptive{}, LocalLinear{0.1}, q, k, v) == NadarayaWatson{Biweight{}}.with(LocalLinear{0.1})(q, k, v));
  const RowMatrix<double> no_query_columns(30, 0), no_key_columns(80, 0);
  REQUIRE(difference(attend(Biweight{}, Adaptive{}, LocalLinear{0.1}, no_query_columns, no_key_columns, v),
                     attend(Biweight{}, Adaptive{}, no_query_columns, no_key_columns, v), 1e-13L) == "");
  REQUIRE(attend(Biweight{}, Adaptive{}, DotProduct{}, Causal{}, LocalLinear{0.1}, q, k, v) ==
          NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}.with(LocalLinear{0.1})(q, k, v));
}

TEST_CASE("local linear attention: empty rows, equal keys, NaN, and errors", "[local_linear]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  test::Random random(8);
  auto q = random.normal<double>(6, 3), k = random.normal<double>(10, 3), v = random.normal<double>(10, 2);
  const auto g = random.normal<double>(6, 2);
  const NadarayaWatson fixed{Biweight{}, FixedBandwidth{2.0}, SquaredDistance{}, NoMask{}, LocalLinear{1e-8}};
  q.row(2).setConstant(100.0);
  k.bottomRows(5).rowwise() = k.row(4).eval();
  RowMatrix<double> out;
  auto tape = fixed.forward(q, k, v, out);
  REQUIRE(tape.empty_rows() >= 1);
  REQUIRE(out.row(2).isZero(0.0));
  REQUIRE(out.allFinite());
  auto grads = fixed.backward(tape, g);
  REQUIRE(grads.query.row(2).isZero(0.0));
  REQUIRE(grads.key.allFinite());
  // NaN in a query makes its row NaN and no other; NaN in a value that has no weight changes nothing.
  q(1, 0) = nan;
  v(0, 0) = nan;
  k.row(0).setConstant(-100.0);
  tape = fixed.forward(q, k, v, out);
  REQUIRE(out.row(1).array().isNaN().all());
  REQUIRE(out.topRows(1).allFinite());
  REQUIRE(out.bottomRows(4).allFinite());
  grads = fixed.backward(tape, g);
  REQUIRE(grads.query.row(1).array().isNaN().all());
  REQUIRE(grads.query.row(0).allFinite());
  REQUIRE(std::isnan(grads.ridge));

  const RowMatrix<double> none(0, 3), no_values(0, 2);
  REQUIRE(fixed(q, none, no_values).isZero(0.0));
  REQUIRE(fixed(none, k, v).rows() == 0);
  out.setConstant(7.0);
  REQUIRE_THROWS_WITH(fixed.with(LocalLinear{-1.0})(q, k, v, out), contains("LocalLinear") && contains("got -1"));
  REQUIRE((out.array() == 7.0).all());
  const RowMatrix<double> wide = random.normal<double>(4, 5);
  REQUIRE_THROWS_WITH(fixed.with(LocalPolynomial<2>{})(wide, wide, wide), contains("at most 3 columns, got 5"));
  RowMatrix<float> heads = wide.cast<float>(), heads_out = heads;
  const Attention attention{Biweight{}, FixedBandwidth{2.0}, SquaredDistance{}, NoMask{}, LocalPolynomial<2>{}};
  REQUIRE_THROWS_WITH(attention(view(heads, 1), view(heads, 1), view(heads, 1), view(heads_out, 1)), contains("got 5"));
}

TEST_CASE("local linear attention of many heads is that of each head", "[local_linear]") {
  constexpr Index heads = 4, key_heads = 2, n = 40, d = 8;
  test::Random random(2);
  auto q = random.normal<float>(heads * n, d), k = random.normal<float>(key_heads * n, d), v = random.normal<float>(key_heads * n, d),
       g = random.normal<float>(heads * n, d);
  std::vector<NadarayaWatson<Biweight, Adaptive, DotProduct, Causal, LocalLinear>> each;
  for (Index h = 0; h < heads; ++h) {
    each.emplace_back(Biweight{}, Adaptive{}, DotProduct{0.3}, Causal{}, LocalLinear{0.01 * static_cast<double>(h + 1)});
  }
  const Attention attention(each);
  RowMatrix<float> out(heads * n, d), by_q(heads * n, d), by_k(key_heads * n, d), by_v(key_heads * n, d);
  const auto tape = attention.forward(view(q, heads), view(k, key_heads), view(v, key_heads), view(out, heads));
  const auto parameters = attention.backward(tape, view(g, heads), view(by_q, heads), view(by_k, key_heads), view(by_v, key_heads));
  RowMatrix<float> sum_k = RowMatrix<float>::Zero(key_heads * n, d);
  for (Index h = 0; h < heads; ++h) {
    const Index of_key = h * key_heads / heads;
    const RowMatrix<float> one_q = q.middleRows(h * n, n), one_k = k.middleRows(of_key * n, n), one_v = v.middleRows(of_key * n, n);
    RowMatrix<float> one_out;
    const auto one = each[static_cast<std::size_t>(h)];
    const auto one_tape = one.forward(one_q, one_k, one_v, one_out);
    REQUIRE(difference(out.middleRows(h * n, n), one_out, 1e-4L, 1e-4L) == "");
    const auto grads = one.backward(one_tape, RowMatrix<float>(g.middleRows(h * n, n)));
    REQUIRE(difference(by_q.middleRows(h * n, n), grads.query, 1e-3L, 1e-3L) == "");
    sum_k.middleRows(of_key * n, n) += grads.key;
    REQUIRE(std::abs(parameters[static_cast<std::size_t>(h)].ridge - grads.ridge) <= 1e-3f * (1 + std::abs(grads.ridge)));
  }
  REQUIRE(difference(by_k, sum_k, 2e-3L, 2e-3L) == "");

  // Two sequences, packed, are two calls.
  const Packed packed({0, 15, n});
  RowMatrix<float> packed_out(heads * n, d);
  attention(view(q, heads), view(k, key_heads), view(v, key_heads), view(packed_out, heads), packed);
  const RowMatrix<float> first = each[0](RowMatrix<float>(q.topRows(15)), RowMatrix<float>(k.topRows(15)), RowMatrix<float>(v.topRows(15)));
  REQUIRE(difference(packed_out.topRows(15), first, 1e-4L, 1e-4L) == "");

  // Token by token, from a cache; also one that stores 16 bits.
  LayerCache<float> cache(1, key_heads, d, d);
  LayerCache<Eigen::bfloat16> narrow(1, key_heads, d, d);
  RowMatrix<float> rounded = k.cast<Eigen::bfloat16>().cast<float>(), rounded_v = v.cast<Eigen::bfloat16>().cast<float>(),
                   rounded_out(heads * n, d);
  attention(view(q, heads), view(rounded, key_heads), view(rounded_v, key_heads), view(rounded_out, heads));
  for (Index i = 0; i < n; ++i) {
    const auto token = [&](RowMatrix<float>& rows, Index of) {
      RowMatrix<float> some(of, rows.cols());
      for (Index h = 0; h < of; ++h) some.row(h) = rows.row(h * n + i);
      return some;
    };
    auto q_i = token(q, heads), k_i = token(k, key_heads), v_i = token(v, key_heads), out_i = q_i, narrow_i = q_i;
    cache.append(view(k_i, key_heads), view(v_i, key_heads));
    narrow.append(view(k_i, key_heads), view(v_i, key_heads));
    attention(view(q_i, heads), cache, view(out_i, heads));
    attention(view(q_i, heads), narrow, view(narrow_i, heads));
    REQUIRE(difference(out_i, token(out, heads), 1e-4L, 1e-4L) == "");
    REQUIRE(difference(narrow_i, token(rounded_out, heads), 1e-4L, 1e-4L) == "");
  }
}

TEST_CASE("a mix chosen at run time is the mix of the types", "[local_linear]") {
  test::Random random(6);
  auto q = random.normal<float>(20, 4), k = random.normal<float>(30, 4), v = random.normal<float>(30, 2);
  const LocalLinear mix{0.02};
  const AnySimilarity<float> dot(DotProduct{});
  const ChosenOperator<float> chosen(AnyRule<float>(Biweight{}, Adaptive{}, dot), dot, AnyMask<float>(Causal{}),
                                     Screening::automatic, AnyMix<float>(mix));
  const AnyAttention<float> attention({&chosen});
  RowMatrix<float> out(20, 2);
  attention(view(q, 1), view(k, 1), view(v, 1), view(out, 1), Packed::one(20, 30));
  REQUIRE(out == NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}.with(mix)(q, k, v));
}
