// Many heads: every head of a batch is the single operator on its own rows, whatever the layout.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

/// Numbers of a batch of heads in memory of their own, with a margin that nobody may touch.
template <class Scalar>
class Numbers {
 public:
  using View = HeadView<Scalar>;

  Numbers(Index batch, Index heads, Index tokens, Index dim) : batch_(batch), heads_(heads), tokens_(tokens), dim_(dim) {}

  Numbers& bhnd() { return with({heads_ * tokens_ * dim_, tokens_ * dim_, dim_, 1}); }
  Numbers& bnhd() { return with({tokens_ * heads_ * dim_, dim_, heads_ * dim_, 1}); }
  /// Columns three apart, rows the other way round in the heads.
  Numbers& scattered() { return with({heads_ * tokens_ * dim_ * 3, 3, heads_ * dim_ * 3, 3 * heads_}); }

  Numbers& random(std::uint64_t seed, double scale = 1.0) {
    test::Random random(seed);
    for (Index b = 0; b < batch_; ++b) {
      for (Index h = 0; h < heads_; ++h) view().rows(b, h) = random.normal<Scalar>(tokens_, dim_, scale);
    }
    return *this;
  }

  View view() { return View(memory_.data() + margin, batch_, heads_, tokens_, dim_, strides_); }
  HeadView<const Scalar> input() { return view(); }
  RowMatrix<Scalar> head(Index b, Index h) { return view().rows(b, h); }

  /// How many numbers outside the view have changed.
  Index touched() {
    std::vector<Scalar> copy = memory_;
    View rest(copy.data() + margin, batch_, heads_, tokens_, dim_, strides_);
    for (Index b = 0; b < batch_; ++b) {
      for (Index h = 0; h < heads_; ++h) rest.rows(b, h).setConstant(guard);
    }
    return static_cast<Index>(copy.size()) - static_cast<Index>(std::count(copy.begin(), copy.end(), guard));
  }

 private:
  static constexpr Index margin = 5;
  static constexpr Scalar guard = Scalar(-77);

  Numbers& with(typename View::Strides strides) {
    strides_ = strides;
    memory_.assign(static_cast<std::size_t>(3 * batch_ * heads_ * tokens_ * dim_ + 2 * margin), guard);
    return *this;
  }

  Index batch_, heads_, tokens_, dim_;
  typename View::Strides strides_{0, 0, 0, 1};
  std::vector<Scalar> memory_;
};

template <class Scalar>
struct Problem {
  static constexpr Index B = 2, H = 4, Hk = 2, Nq = 101, Nk = 131, D = 9, Dv = 5;

  Numbers<Scalar> q{B, H, Nq, D}, k{B, Hk, Nk, D}, v{B, Hk, Nk, Dv}, out{B, H, Nq, Dv}, grad_out{B, H, Nq, Dv};
  Numbers<Scalar> grad_q{B, H, Nq, D}, grad_k{B, Hk, Nk, D}, grad_v{B, Hk, Nk, Dv};

  template <class Layout>
  explicit Problem(const Layout& layout) {
    for (auto* numbers : {&q, &k, &v, &out, &grad_out, &grad_q, &grad_k, &grad_v}) layout(*numbers);
    q.random(1);
    k.random(2);
    v.random(3);
    grad_out.random(4);
  }
};

/// Outputs, supports and gradients of every head against the operators, one head at a time. Products
/// do not depend on where the rows lie; the sums in a distance, formed by Eigen, do.
template <class Scalar, class Attention, class OperatorOf, class E = Serial>
void check_heads(const Attention& attention, const OperatorOf& operator_of, Problem<Scalar>& p, long double tolerance,
                 const E& executor = {}) {
  using P = Problem<Scalar>;
  const auto tape = attention.forward(p.q.input(), p.k.input(), p.v.input(), p.out.view(), executor);
  const auto parameters = attention.backward(tape, p.grad_out.input(), p.grad_q.view(), p.grad_k.view(), p.grad_v.view(), executor);
  REQUIRE(parameters.size() == std::size_t(P::H));
  std::vector<Scalar> scale(std::size_t(P::H), Scalar(0));
  for (Index b = 0; b < P::B; ++b) {
    for (Index shared = 0; shared < P::Hk; ++shared) {
      const RowMatrix<Scalar> k = p.k.head(b, shared), v = p.v.head(b, shared);
      RowMatrix<Scalar> grad_k = RowMatrix<Scalar>::Zero(P::Nk, P::D), grad_v = RowMatrix<Scalar>::Zero(P::Nk, P::Dv);
      for (Index h = shared * P::H / P::Hk; h < (shared + 1) * P::H / P::Hk; ++h) {
        INFO("batch entry " << b << ", head " << h);
        const auto op = operator_of(h);
        RowMatrix<Scalar> out;
        const RowMatrix<Scalar> q = p.q.head(b, h), grad_out = p.grad_out.head(b, h);
        const auto single = op.forward(q, k, v, out);
        const auto grads = op.backward(single, grad_out);
        REQUIRE(difference(p.out.head(b, h), out, op.similarity().is_product ? 0 : tolerance) == "");
        REQUIRE(tape.head(b, h).mean_support() == single.mean_support());
        REQUIRE(tape.head(b, h).empty_rows() == single.empty_rows());
        REQUIRE(difference(p.grad_q.head(b, h), grads.query, tolerance) == "");
        grad_k += grads.key;
        grad_v += grads.value;
        if constexpr (requires { grads.scale; }) scale[std::size_t(h)] += grads.scale;
      }
      REQUIRE(difference(p.grad_k.head(b, shared), grad_k, tolerance) == "");
      REQUIRE(difference(p.grad_v.head(b, shared), grad_v, tolerance) == "");
    }
  }
  for (Index h = 0; h < P::H; ++h) {
    if constexpr (requires { parameters[0].scale; }) {
      const Scalar error = std::abs(parameters[std::size_t(h)].scale - scale[std::size_t(h)]);
      REQUIRE(error <= tolerance * 100);
    }
  }
  for (auto* numbers : {&p.q, &p.k, &p.v, &p.out, &p.grad_out, &p.grad_q, &p.grad_k, &p.grad_v}) {
    REQUIRE(numbers->touched() == 0);
  }
}

const auto in_bhnd = [](auto& numbers) { numbers.bhnd(); };
const auto in_bnhd = [](auto& numbers) { numbers.bnhd(); };
const auto scattered = [](auto& numbers) { numbers.scattered(); };

/// Sums of some hundred terms of size 1, in another order.
constexpr long double reordered = 1e-13L;

}  // namespace

TEST_CASE("a head of a batch is the single operator, in every layout", "[attention]") {
  const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{.scale = 0.5}, Causal{}};
  const Attention attention{Biweight{}, Adaptive{}, DotProduct{.scale = 0.5}, Causal{}};
  const auto same = [&](Index) { return op; };
  SECTION("[B, H, N, D]") {
    Problem<double> p(in_bhnd);
    check_heads(attention, same, p, reordered);
  }
  SECTION("[B, N, H, D]") {
    Problem<double> p(in_bnhd);
    check_heads(attention, same, p, reordered);
  }
  SECTION("columns apart") {
    Problem<double> p(scattered);
    check_heads(attention, same, p, reordered);
  }
}

TEST_CASE("many heads of every kind of rule", "[attention]") {
  Problem<double> p(in_bnhd);
  const auto check = [&](const auto& op) {
    const Attention attention(op.kernel(), op.normalization(), op.similarity(), op.mask());
    check_heads(attention, [&](Index) { return op; }, p, reordered);
    check_heads(attention, [&](Index) { return op; }, p, reordered, Threads{3});
  };
  check(NadarayaWatson{Gaussian{}});
  check(NadarayaWatson{Gaussian{}, Adaptive{}, SquaredDistance{0.3}, SlidingWindow{40}});
  check(NadarayaWatson{Triweight{}, FixedBandwidth{1.2}, Cosine{}});
  check(NadarayaWatson{Epanechnikov{}, Anchored{1.5}, DotProduct{}, StrictlyCausal{}});
  check(NadarayaWatson{Biweight{}, NearestNeighbors{6}, SquaredDistance{}});
  check(NadarayaWatson{RectifiedPower::with_alpha(1.7)});
}

TEST_CASE("the heads agree with the oracle", "[attention]") {
  Problem<float> p(in_bnhd);
  const Attention attention{Epanechnikov{}};
  attention(p.q.input(), p.k.input(), p.v.input(), p.out.view(), Threads{2});
  for (Index h = 0; h < 4; ++h) {
    const auto expected = reference::attend<long double>(NadarayaWatson{Epanechnikov{}}, p.q.head(1, h), p.k.head(1, h / 2), p.v.head(1, h / 2));
    // Scores of size 10 in float, and weights as steep as they are.
    REQUIRE(difference(p.out.head(1, h), expected, 3e-5L) == "");
  }
}

TEST_CASE("each head may have parameters of its own, and gets their gradients", "[attention]") {
  Problem<double> p(in_bhnd);
  SECTION("scales and slopes of a bias") {
    const auto operator_of = [](Index h) {
      return NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{.scale = 0.2 + 0.1 * double(h)},
                            AdditiveBias{[h](Index i, Index j) { return -0.05 * double(h) * double(std::abs(i + 30 - j)); }}};
    };
    std::vector<decltype(operator_of(0))> heads;
    for (Index h = 0; h < 4; ++h) heads.push_back(operator_of(h));
    check_heads(Attention(heads), operator_of, p, reordered);
  }
  SECTION("bandwidths of prepared rows") {
    const auto operator_of = [](Index h) { return NadarayaWatson{Triweight{}, FixedBandwidth{0.9 + 0.1 * double(h)}, Cosine{}}; };
    std::vector<decltype(operator_of(0))> heads;
    for (Index h = 0; h < 4; ++h) heads.push_back(operator_of(h));
    check_heads(Attention(heads), operator_of, p, reordered);
    const Attention attention(heads);
    REQUIRE(attention.head(3).normalization().bandwidth == 0.9 + 0.1 * 3);
    const auto tape = attention.forward(p.q.input(), p.k.input(), p.v.input(), p.out.view());
    const auto parameters = attention.backward(tape, p.grad_out.input(), p.grad_q.view(), p.grad_k.view(), p.grad_v.view());
    RowMatrix<double> out;
    double expected = 0;
    for (Index b = 0; b < 2; ++b) {
      const RowMatrix<double> q = p.q.head(b, 2), k = p.k.head(b, 1), v = p.v.head(b, 1);
      const auto single = operator_of(2).forward(q, k, v, out);
      expected += operator_of(2).backward(single, p.grad_out.head(b, 2)).bandwidth;
    }
    const double error = std::abs(parameters[2].bandwidth - expected);
    REQUIRE(error <= 1e-12);
  }
}

TEST_CASE("packed sequences see only themselves, and masks count from their beginning", "[attention]") {
  const std::vector<Index> query_offsets{0, 20, 20, 50, 101}, key_offsets{0, 40, 41, 41, 131};
  Problem<double> p(in_bnhd);
  const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{}, Causal{}};
  const Attention attention{Biweight{}, Adaptive{}, DotProduct{}, Causal{}};
  const Packed sequences(query_offsets, key_offsets);
  const auto tape = attention.forward(p.q.input(), p.k.input(), p.v.input(), p.out.view(), sequences, Threads{2});
  attention.backward(tape, p.grad_out.input(), p.grad_q.view(), p.grad_k.view(), p.grad_v.view(), Threads{2});
  REQUIRE(tape.sequences() == 4);
  const RowMatrix<double> with_tape = p.out.head(1, 3);
  attention(p.q.input(), p.k.input(), p.v.input(), p.out.view(), sequences);
  REQUIRE(difference(p.out.head(1, 3), with_tape, 0) == "");
  Index empty = 0;
  for (Index b = 0; b < 2; ++b) {
    for (std::size_t s = 0; s < 4; ++s) {
      const Index first = query_offsets[s], queries = query_offsets[s + 1] - first;
      const Index first_key = key_offsets[s], keys = key_offsets[s + 1] - first_key;
      RowMatrix<double> grad_k = RowMatrix<double>::Zero(keys, 9), grad_v = RowMatrix<double>::Zero(keys, 5);
      for (Index h = 2; h < 4; ++h) {
        const RowMatrix<double> q = p.q.head(b, h).middleRows(first, queries);
        const RowMatrix<double> k = p.k.head(b, 1).middleRows(first_key, keys);
        const RowMatrix<double> v = p.v.head(b, 1).middleRows(first_key, keys);
        RowMatrix<double> out;
        const auto single = op.forward(q, k, v, out);
        const auto grads = op.backward(single, p.grad_out.head(b, h).middleRows(first, queries));
        empty += single.empty_rows();
        REQUIRE(difference(p.out.head(b, h).middleRows(first, queries), out, 0) == "");
        REQUIRE(tape.head(b, h, Index(s)).queries() == queries);
        REQUIRE(tape.head(b, h, Index(s)).mean_support() == single.mean_support());
        REQUIRE(difference(p.grad_q.head(b, h).middleRows(first, queries), grads.query, reordered) == "");
        grad_k += grads.key;
        grad_v += grads.value;
      }
      REQUIRE(difference(p.grad_k.head(b, 1).middleRows(first_key, keys), grad_k, reordered) == "");
      REQUIRE(difference(p.grad_v.head(b, 1).middleRows(first_key, keys), grad_v, reordered) == "");
    }
  }
  // Sequence 2 has 30 queries and no key, for each head.
  REQUIRE(empty == 2 * 2 * 30);
  REQUIRE(tape.empty_rows() == 2 * 4 * 30);
  REQUIRE(Packed({0, 3}).sequences() == 1);
  REQUIRE(Packed({0, 3}).key == std::vector<Index>{0, 3});
}

TEST_CASE("padded sequences are those without padding, and masks count from their ends", "[attention]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Index> query_lengths{101, 37}, key_lengths{90, 131};
  const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{}, Causal{}};
  const Attention attention{Biweight{}, Adaptive{}, DotProduct{}, Causal{}};
  for (const bool all_queries : {false, true}) {
    Problem<double> p(scattered);
    const Packed sequences = all_queries ? Packed::padded_keys(key_lengths) : Packed::padded(query_lengths, key_lengths);
    const auto queries_of = [&](Index b) { return all_queries ? Index(101) : query_lengths[std::size_t(b)]; };
    for (Index b = 0; b < 2; ++b) {
      for (Index h = 0; h < 4; ++h) p.q.view().rows(b, h, queries_of(b), 101 - queries_of(b)).setConstant(nan);
      for (Index h = 0; h < 2; ++h) {
        const Index keys = key_lengths[std::size_t(b)];
        p.k.view().rows(b, h, keys, 131 - keys).setConstant(nan);
        p.v.view().rows(b, h, keys, 131 - keys).setConstant(nan);
      }
    }
    for (auto* numbers : {&p.out, &p.grad_q, &p.grad_k, &p.grad_v}) numbers->random(9);
    const auto tape = attention.forward(p.q.input(), p.k.input(), p.v.input(), p.out.view(), sequences, Threads{2});
    attention.backward(tape, p.grad_out.input(), p.grad_q.view(), p.grad_k.view(), p.grad_v.view(), Threads{2});
    REQUIRE(tape.sequences() == 1);
    const RowMatrix<double> with_tape = p.out.head(1, 3);
    attention(p.q.input(), p.k.input(), p.v.input(), p.out.view(), sequences);
    REQUIRE(difference(p.out.head(1, 3), with_tape, 0) == "");
    for (Index b = 0; b < 2; ++b) {
      const Index queries = queries_of(b), keys = key_lengths[std::size_t(b)];
      const RowMatrix<double> k = p.k.head(b, 1).topRows(keys), v = p.v.head(b, 1).topRows(keys);
      RowMatrix<double> grad_k = RowMatrix<double>::Zero(131, 9), grad_v = RowMatrix<double>::Zero(131, 5);
      for (Index h = 2; h < 4; ++h) {
        RowMatrix<double> out, expected = RowMatrix<double>::Zero(101, 5), grad_q = RowMatrix<double>::Zero(101, 9);
        const RowMatrix<double> q = p.q.head(b, h).topRows(queries);
        const auto single = op.forward(q, k, v, out);
        const auto grads = op.backward(single, p.grad_out.head(b, h).topRows(queries));
        expected.topRows(queries) = out;
        grad_q.topRows(queries) = grads.query;
        grad_k.topRows(keys) += grads.key;
        grad_v.topRows(keys) += grads.value;
        REQUIRE(difference(p.out.head(b, h), expected, 0) == "");
        REQUIRE(difference(p.grad_q.head(b, h), grad_q, reordered) == "");
        REQUIRE(tape.head(b, h).queries() == queries);
      }
      REQUIRE(difference(p.grad_k.head(b, 1), grad_k, reordered) == "");
      REQUIRE(difference(p.grad_v.head(b, 1), grad_v, reordered) == "");
    }
  }
  REQUIRE(Packed::padded({3, 4}).query_lengths == std::vector<Index>{3, 4});
  REQUIRE(Packed::padded({3, 4}).key_lengths == std::vector<Index>{3, 4});
}

TEST_CASE("sizes of zero, and one key head for all", "[attention]") {
  const Attention attention{Epanechnikov{}};
  for (const auto& [batch, heads, tokens, keys, values] :
       {std::array<Index, 5>{0, 2, 3, 3, 2}, {1, 2, 0, 3, 2}, {1, 2, 3, 0, 2}, {1, 2, 3, 3, 0}, {1, 3, 5, 3, 2}}) {
    Numbers<double> q(batch, heads, tokens, 4), k(batch, 1, keys, 4), v(batch, 1, keys, values), out(batch, heads, tokens, values);
    Numbers<double> grad_q(batch, heads, tokens, 4), grad_k(batch, 1, keys, 4), grad_v(batch, 1, keys, values);
    for (auto* numbers : {&q, &k, &v, &out, &grad_q, &grad_k, &grad_v}) numbers->bhnd().random(7);
    const auto tape = attention.forward(q.input(), k.input(), v.input(), out.view());
    attention.backward(tape, out.input(), grad_q.view(), grad_k.view(), grad_v.view());
    REQUIRE(tape.empty_rows() == (keys == 0 ? batch * heads * tokens : 0));
    REQUIRE(tape.batch() == batch);
    REQUIRE(tape.heads() == heads);
    if (tokens == 0) REQUIRE(difference(grad_k.head(0, 0), RowMatrix<double>::Zero(3, 4), 0) == "");
    if (batch == 1) {
      const auto expected = attend(Epanechnikov{}, Adaptive{}, q.head(0, 1), k.head(0, 0), v.head(0, 0));
      REQUIRE(difference(out.head(0, 1), expected, 0) == "");
    }
  }
}

TEST_CASE("keys that no query head reads get gradients of zero", "[attention]") {
  const Attention attention{Gaussian{}};
  Numbers<double> q(1, 0, 3, 4), k(1, 2, 5, 4), v(1, 2, 5, 3), out(1, 0, 3, 3), grad_k(1, 2, 5, 4), grad_v(1, 2, 5, 3);
  for (auto* numbers : {&q, &k, &v, &out, &grad_k, &grad_v}) numbers->bhnd().random(3);
  const auto tape = attention.forward(q.input(), k.input(), v.input(), out.view());
  REQUIRE(attention.backward(tape, out.input(), q.view(), grad_k.view(), grad_v.view()).empty());
  REQUIRE(difference(grad_k.head(0, 1), RowMatrix<double>::Zero(5, 4), 0) == "");
  REQUIRE(difference(grad_v.head(0, 0), RowMatrix<double>::Zero(5, 3), 0) == "");
}

TEST_CASE("shapes that do not fit are refused by name, before anything is written", "[attention]") {
  using catch_shim::contains;
  const Attention attention{Epanechnikov{}};
  const auto numbers = [](Index batch, Index heads, Index tokens, Index dim) { return std::move(Numbers<double>(batch, heads, tokens, dim).bhnd().random(1)); };
  auto q = numbers(2, 4, 6, 3), k = numbers(2, 2, 7, 3), v = numbers(2, 2, 7, 5), out = numbers(2, 4, 6, 5);
  const RowMatrix<double> before = out.head(0, 0);
  const auto refuse = [&](auto& query, auto& key, auto& value, auto& to, const std::string& text) {
    REQUIRE_THROWS_AS(attention(query.input(), key.input(), value.input(), to.view()), std::invalid_argument);
    REQUIRE_THROWS_WITH(attention.forward(query.input(), key.input(), value.input(), to.view()),
                        contains("Attention::forward: ") && contains(text));
  };
  auto narrow = numbers(2, 4, 6, 2), three = numbers(2, 3, 7, 3), none = numbers(2, 0, 7, 3), single = numbers(1, 2, 7, 3);
  auto short_values = numbers(2, 2, 6, 5), small = numbers(2, 4, 6, 4);
  refuse(narrow, k, v, out, "query and key must have the same batch and dim, got [2 x 4 x 6 x 2] and [2 x 2 x 7 x 3]");
  refuse(q, three, v, out, "the heads of key must divide those of query, got [2 x 4 x 6 x 3] and [2 x 3 x 7 x 3]");
  refuse(q, none, v, out, "the heads of key must divide");
  refuse(q, single, v, out, "query and key must have the same batch");
  refuse(q, k, short_values, out, "key and value must have the same batch, heads and tokens, got [2 x 2 x 7 x 3] and [2 x 2 x 6 x 5]");
  refuse(q, k, v, small, "out must be [2 x 4 x 6 x 5], got [2 x 4 x 6 x 4]");
  const auto refuse_offsets = [&](const Packed& sequences, const std::string& text) {
    REQUIRE_THROWS_WITH(attention(q.input(), k.input(), v.input(), out.view(), sequences), contains(text));
  };
  refuse_offsets(Packed({0, 5}, {0, 7}), "the offsets of query must rise from 0 to its 6 tokens");
  refuse_offsets(Packed({0, 4, 3, 6}, {0, 1, 2, 7}), "the offsets of query");
  refuse_offsets(Packed({1, 6}, {0, 7}), "the offsets of query");
  refuse_offsets(Packed({}, {0, 7}), "the offsets of query");
  refuse_offsets(Packed({0, 6}, {0, 8}), "the offsets of key");
  refuse_offsets(Packed({0, 3, 6}, {0, 7}), "there are offsets of 2 sequences of queries and of 1 of keys");
  refuse_offsets(Packed::padded({6, 6, 6}), "need a length of query for each of 2 batch entries, got 3");
  refuse_offsets(Packed::padded_keys({7, 8}), "a length of key must lie between 0 and its 7 tokens, got 8");
  refuse_offsets(Packed::padded({6, -1}, {7, 7}), "a length of query must lie between 0 and its 6 tokens, got -1");
  REQUIRE(difference(out.head(0, 0), before, 0) == "");

  const auto tape = attention.forward(q.input(), k.input(), v.input(), out.view());
  auto grad_q = numbers(2, 4, 6, 3), grad_k = numbers(2, 2, 7, 3), grad_v = numbers(2, 2, 7, 5);
  const auto refuse_gradient = [&](auto& grad, auto& dq, auto& dk, auto& dv, const std::string& text) {
    REQUIRE_THROWS_WITH(attention.backward(tape, grad.input(), dq.view(), dk.view(), dv.view()), contains("Attention::backward: " + text));
  };
  refuse_gradient(small, grad_q, grad_k, grad_v, "grad_out must be [2 x 4 x 6 x 5], got [2 x 4 x 6 x 4]");
  refuse_gradient(out, out, grad_k, grad_v, "grad_query must be [2 x 4 x 6 x 3], got [2 x 4 x 6 x 5]");
  refuse_gradient(out, grad_q, grad_q, grad_v, "grad_key must be [2 x 2 x 7 x 3]");
  refuse_gradient(out, grad_q, grad_k, grad_k, "grad_value must be [2 x 2 x 7 x 5]");

  REQUIRE_THROWS_WITH(Attention(std::vector<NadarayaWatson<Epanechnikov>>{}), contains("need an operator for each head"));
  const Attention three_heads(std::vector<NadarayaWatson<Epanechnikov>>(3));
  REQUIRE_THROWS_WITH(three_heads(q.input(), k.input(), v.input(), out.view()), contains("there are operators for 3 heads, and query has 4"));
}

TEST_CASE("an output that shares memory is refused, one that interleaves is not", "[attention][errors]") {
  using catch_shim::contains;
  constexpr Index B = 2, H = 2, N = 6, D = 3;
  const Attention attention{Epanechnikov{}};
  // [B, N, 5, H, D]: query, key, value, grad_out, and out as slices of one tensor.
  std::vector<double> memory(std::size_t(B * N * 5 * H * D));
  test::Random random(5);
  for (double& x : memory) x = random.normal();
  const auto slice_of = [&](double* data, Index i) {
    return HeadView<double>(data + i * H * D, B, H, N, D, {N * 5 * H * D, D, 5 * H * D});
  };
  const auto slice = [&](Index i) { return slice_of(memory.data(), i); };
  const auto numbers = [](Index heads) { return std::move(Numbers<double>(B, heads, N, D).bhnd().random(1)); };
  auto q = numbers(H), k = numbers(H), v = numbers(H), out = numbers(H), grad = numbers(H), grad_q = numbers(H), grad_k = numbers(H), grad_v = numbers(H);
  for (Index b = 0; b < B; ++b) {
    for (Index h = 0; h < H; ++h) {
      q.view().rows(b, h) = slice(0).rows(b, h);
      k.view().rows(b, h) = slice(1).rows(b, h);
      v.view().rows(b, h) = slice(2).rows(b, h);
      grad.view().rows(b, h) = slice(3).rows(b, h);
    }
  }
  const auto expected = attention.forward(q.input(), k.input(), v.input(), out.view());
  attention.backward(expected, grad.input(), grad_q.view(), grad_k.view(), grad_v.view());
  const auto tape = attention.forward(slice(0), slice(1), slice(2), slice(4));
  std::vector<double> grads(memory.size());
  attention.backward(tape, slice(3), slice_of(grads.data(), 1), slice_of(grads.data(), 2), slice_of(grads.data(), 4));
  for (Index b = 0; b < B; ++b) {
    for (Index h = 0; h < H; ++h) {
      REQUIRE(difference(slice(4).rows(b, h), out.head(b, h), 0) == "");
      REQUIRE(difference(slice_of(grads.data(), 1).rows(b, h), grad_q.head(b, h), 0) == "");
      REQUIRE(difference(slice_of(grads.data(), 2).rows(b, h), grad_k.head(b, h), 0) == "");
      REQUIRE(difference(slice_of(grads.data(), 4).rows(b, h), grad_v.head(b, h), 0) == "");
    }
  }

  const std::vector<double> before = memory, grads_before = grads;
  const auto refused = [&](const auto& call, const std::string& text) {
    REQUIRE_THROWS_WITH(call(), contains(text));
    REQUIRE_THROWS_AS(call(), std::invalid_argument);
    REQUIRE(memory == before);
    REQUIRE(grads == grads_before);
  };
  // One element too early: the last column of the slice before it.
  const auto early = [&](Index i) { return HeadView<double>(slice(i).data() - 1, B, H, N, D, slice(i).strides()); };
  for (const Index i : {0, 1, 2}) {
    const std::string name = i == 0 ? "query" : i == 1 ? "key" : "value";
    const std::string text = ": out [2 x 2 x 6 x 3] must not share memory with " + name + " [2 x 2 x 6 x 3]";
    refused([&] { attention(slice(0), slice(1), slice(2), slice(i)); }, "Attention::operator()" + text);
    refused([&] { attention.forward(slice(0), slice(1), slice(2), slice(i)); }, "Attention::forward" + text);
    refused([&] { attention.forward(slice(0), slice(1), slice(2), early(i + 1)); }, text);
  }
  refused([&] { attention(q.input(), k.input(), v.input(), HeadView<double>(memory.data(), B, H, N, D, {N * D, 0, D})); },
          "out [2 x 2 x 6 x 3] must not have two elements in one place");
  refused([&] { attention(q.input(), k.input(), v.input(), HeadView<double>(memory.data(), B, H, N, D, {H * N * D, N * D - 1, D})); },
          "out [2 x 2 x 6 x 3] must not have two elements in one place");
  const auto refuse_gradients = [&](const HeadView<double>& dq, const HeadView<double>& dk, const HeadView<double>& dv, const std::string& text) {
    refused([&] { attention.backward(tape, HeadView<const double>(slice(3)), dq, dk, dv); }, "Attention::backward: " + text);
  };
  const auto dq = slice_of(grads.data(), 0), dk = slice_of(grads.data(), 1), dv = slice_of(grads.data(), 2);
  refuse_gradients(slice(3), dk, dv, "grad_query [2 x 2 x 6 x 3] must not share memory with grad_out");
  refuse_gradients(dq, slice(3), dv, "grad_key [2 x 2 x 6 x 3] must not share memory with grad_out");
  refuse_gradients(dq, dk, slice(0), "grad_value [2 x 2 x 6 x 3] must not share memory with query");
  refuse_gradients(slice(2), dk, dv, "grad_query [2 x 2 x 6 x 3] must not share memory with value");
  refuse_gradients(dq, dq, dv, "grad_key [2 x 2 x 6 x 3] must not share memory with grad_query");
  refuse_gradients(dq, dk, dk, "grad_value [2 x 2 x 6 x 3] must not share memory with grad_key");
  refuse_gradients(HeadView<double>(grads.data(), B, H, N, D, {0, N * D, D}), dk, dv, "grad_query [2 x 2 x 6 x 3] must not have two elements in one place");

  KeyValueCache<double> cache(D, D);
  cache.append(k.head(0, 0), v.head(0, 0));
  const std::vector<KeyValueCache<double>> caches(std::size_t(B * H), cache);
  refused([&] { attention(slice(0), std::span(caches), slice(0)); }, "Attention::operator(): out [2 x 2 x 6 x 3] must not share memory with query");
}

TEST_CASE("every call of many heads refuses before anything is written", "[attention][errors]") {
  using catch_shim::contains;
  const Attention attention{Epanechnikov{}};
  const auto numbers = [](Index heads, Index tokens, Index dim) { return std::move(Numbers<double>(1, heads, tokens, dim).bhnd().random(1)); };
  auto q = numbers(2, 6, 3), k = numbers(2, 7, 3), v = numbers(2, 7, 5), out = numbers(2, 6, 5);
  auto grad = numbers(2, 6, 5), grad_q = numbers(2, 6, 3), grad_k = numbers(2, 7, 3), grad_v = numbers(2, 7, 5);
  const auto tape = attention.forward(q.input(), k.input(), v.input(), out.view());
  const std::vector<RowMatrix<double>> before{out.head(0, 0), out.head(0, 1), grad_q.head(0, 0), grad_k.head(0, 0), grad_v.head(0, 1)};
  std::vector<KeyValueCache<double>> caches(2, KeyValueCache<double>(3, 5));
  for (Index h = 0; h < 2; ++h) caches[std::size_t(h)].append(k.head(0, h), v.head(0, h));
  const auto refused = [&](const auto& op, const auto& executor, const char* text) {
    const auto throws = [&](const auto& call) { REQUIRE_THROWS_WITH(call(), contains(text)); };
    throws([&] { op(q.input(), k.input(), v.input(), out.view(), executor); });
    throws([&] { op(q.input(), k.input(), v.input(), out.view(), Packed({0, 6}, {0, 7}), executor); });
    throws([&] { op(q.input(), std::span<const KeyValueCache<double>>(caches), out.view(), executor); });
    throws([&] { op.forward(q.input(), k.input(), v.input(), out.view(), executor); });
    throws([&] { op.backward(tape, grad.input(), grad_q.view(), grad_k.view(), grad_v.view(), executor); });
    REQUIRE(std::vector<RowMatrix<double>>{out.head(0, 0), out.head(0, 1), grad_q.head(0, 0), grad_k.head(0, 0), grad_v.head(0, 1)} == before);
  };
  refused(attention, Threads{0}, "Threads: count must be at least 1, got 0");
  const Workspace<double, Threads> workspace(Threads{-1});
  refused(attention, workspace, "Threads: count must be at least 1, got -1");
  const Attention bad{Epanechnikov{}, Adaptive{}, DotProduct{.scale = std::numeric_limits<double>::quiet_NaN()}};
  refused(bad, Serial{}, "DotProduct: scale");
  // Where there is nothing to do as well.
  auto no_q = numbers(0, 6, 3), no_out = numbers(0, 6, 5);
  REQUIRE_THROWS_AS(bad(no_q.input(), k.input(), v.input(), no_out.view()), std::invalid_argument);
  const auto none = attention.forward(no_q.input(), k.input(), v.input(), no_out.view());
  REQUIRE_THROWS_AS(attention.backward(none, no_out.input(), no_q.view(), grad_k.view(), grad_v.view(), Threads{0}), std::invalid_argument);
  REQUIRE(difference(grad_k.head(0, 0), before[3], 0) == "");

  const double number = 1.0;
  const auto many = [&](Index heads, Index tokens, Index dim) { return HeadView<const double>(&number, 1, heads, tokens, dim, {0, 0, 0, 0}); };
  REQUIRE_THROWS_WITH(attention(many(2, Index(1) << 31, 3), k.input(), v.input(), HeadView<double>(nullptr, 1, 2, Index(1) << 31, 5, {0, 0, 0})),
                      contains("Attention::operator(): a sequence of query has 2147483648 rows, more than 2^31 - 1"));
  REQUIRE_THROWS_WITH(attention.forward(q.input(), many(2, Index(1) << 31, 3), many(2, Index(1) << 31, 5), out.view()),
                      contains("Attention::forward: a sequence of key has 2147483648 rows"));
  REQUIRE_THROWS_WITH(attention(many(2, Index(1) << 31, 3), std::span<const KeyValueCache<double>>(caches), HeadView<double>(nullptr, 1, 2, Index(1) << 31, 5, {0, 0, 0})),
                      contains("Attention::operator(): query has 2147483648 rows"));
}

TEST_CASE("a tape of many heads that has been moved from has none", "[attention][lifetimes]") {
  const Attention attention{Epanechnikov{}};
  const auto numbers = [](Index dim) { return std::move(Numbers<double>(2, 2, 4, dim).bhnd().random(1)); };
  auto q = numbers(3), k = numbers(3), v = numbers(2), out = numbers(2), grad_q = numbers(3), grad_k = numbers(3), grad_v = numbers(2);
  auto tape = attention.forward(q.input(), k.input(), v.input(), out.view());
  const auto moved = std::move(tape);
  REQUIRE(moved.heads() == 2);
  // NOLINTBEGIN(bugprone-use-after-move)
  REQUIRE(tape.heads() == 0);
  REQUIRE(tape.sequences() == 0);
  REQUIRE(tape.empty_rows() == 0);
  REQUIRE_THROWS_AS(attention.backward(tape, out.input(), grad_q.view(), grad_k.view(), grad_v.view()), std::invalid_argument);
  tape = moved;
  // NOLINTEND(bugprone-use-after-move)
  attention.backward(tape, out.input(), grad_q.view(), grad_k.view(), grad_v.view());
}

namespace {

/// A mask that is expensive to copy.
struct Counted {
  static inline int copies = 0;

  Counted() = default;
  Counted(const Counted&) { ++copies; }
  Counted(Counted&&) = default;
  Counted& operator=(const Counted&) = delete;
  Counted& operator=(Counted&&) = delete;
  ~Counted() = default;

  bool operator()(Index i, Index j) const { return j <= i + 1; }
  KeyRange range(Index i, const Extent& n) const { return n.clip(0, i + 2); }
};

}  // namespace

TEST_CASE("a mask is copied for no head and no pass", "[attention][masks]") {
  Counted::copies = 0;
  Problem<double> p([](auto& x) { x.bhnd(); });
  const auto run = [&](const auto& attention) {
    const int before = Counted::copies;
    const auto tape = attention.forward(p.q.input(), p.k.input(), p.v.input(), p.out.view());
    attention.backward(tape, p.grad_out.input(), p.grad_q.view(), p.grad_k.view(), p.grad_v.view());
    attention(p.q.input(), p.k.input(), p.v.input(), p.out.view(), Threads{2});
    REQUIRE(Counted::copies == before);
  };
  // Of the user's own type.
  const Attention own(Epanechnikov{}, Adaptive{}, DotProduct{}, Counted{});
  run(own);
  REQUIRE(Counted::copies == 0);
  const RowMatrix<double> out = p.out.head(1, 3);
  // Given pair by pair: heads share one, and so do copies of an operator, with another mask or without.
  Counted::copies = 0;
  const BooleanMask mask{Counted{}};
  const NadarayaWatson one(Epanechnikov{}, Adaptive{}, DotProduct{}, mask);
  const Attention shared(std::vector(4, one.with(Screening::never)));
  run(shared);
  REQUIRE(difference(p.out.head(1, 3), out, 0) == "");
  const auto both = Causal{} & mask;
  const auto copy = both;
  REQUIRE(copy.visible(0, 1, Extent{2, 2}));
  const AdditiveBias bias{Counted{}};
  const auto copied_bias = bias;
  REQUIRE(copied_bias.bias(3, 0, Extent{4, 4}));
  REQUIRE(Counted::copies == 0);
  // What is no larger than its bytes is held where it is.
  static_assert(std::is_trivially_copyable_v<AdditiveBias<Alibi>>);
  const RowMatrix<double> matrix = RowMatrix<double>::Random(3, 3);
  const AdditiveBias of_matrix{matrix};
  REQUIRE(of_matrix.bias(1, 2, Extent{3, 3}) == matrix(1, 2));
  AdditiveBias other{RowMatrix<double>(2, 2)};
  other = of_matrix;
  REQUIRE(other.bias(2, 2, Extent{3, 3}) == matrix(2, 2));
}
