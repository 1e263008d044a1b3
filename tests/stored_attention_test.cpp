// Heads stored in 16 bits: trained on, they have the bits of their floats; bfloat16 by tiles is as exact as its floats,
// nearly.
#include <nadaraya/chosen_operator.hpp>
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>
#include <nadaraya/simd/bfloat16_tiles.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/message.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

using Half = Eigen::half;
using Brain = Eigen::bfloat16;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// Heads of tokens, [B, N, H, D] in memory: the tokens of a head are apart.
template <class T>
struct Heads {
  Index batch, heads, tokens, dim;
  std::vector<T> numbers;

  Heads(Index b, Index h, Index n, Index d)
      : batch(b), heads(h), tokens(n), dim(d), numbers(std::size_t(b * h * n * d), T(0)) {}
  Heads(Index b, Index h, Index n, Index d, std::uint64_t seed, double scale = 1) : Heads(b, h, n, d) {
    test::Random random(seed);
    for (T& x : numbers) x = static_cast<T>(static_cast<float>(scale * random.normal()));
  }

  Heads<float> floats() const {
    Heads<float> wide(batch, heads, tokens, dim);
    std::transform(numbers.begin(), numbers.end(), wide.numbers.begin(),
                   [](const T& x) { return static_cast<float>(x); });
    return wide;
  }
  HeadView<const T> in() const { return HeadView<const T>::bnhd(numbers.data(), batch, tokens, heads, dim); }
  HeadView<T> out() { return HeadView<T>::bnhd(numbers.data(), batch, tokens, heads, dim); }
  /// All of them as a matrix, for comparisons.
  RowMatrix<T> matrix() const { return Eigen::Map<const RowMatrix<T>>(numbers.data(), batch * tokens * heads, dim); }
};

constexpr Index B = 2, H = 4, Hk = 2, Nq = 70, Nk = 130, D = 10, Dv = 7;

/// What a pass writes.
struct Written {
  Heads<float> out{B, H, Nq, Dv}, query{B, H, Nq, D}, key{B, Hk, Nk, D}, value{B, Hk, Nk, Dv};
};

std::string difference_of(const Written& a, const Written& b) {
  for (const auto part : {&Written::out, &Written::query, &Written::key, &Written::value}) {
    const std::string said = difference((a.*part).matrix(), (b.*part).matrix(), 0);
    if (!said.empty()) return said;
  }
  return "";
}

/// A forward and a backward pass; the inputs are overwritten in between where they need not live on.
template <class Op, class Q, class Ke, class V>
auto train(const Op& op, Heads<Q> q, Heads<Ke> k, Heads<V> v, const Packed& sequences, Written& to) {
  const Heads<float> grad_out(B, H, Nq, Dv, 4);
  AttentionTape<float> first = op.forward(q.in(), k.in(), v.in(), to.out.out(), sequences, Threads{2});
  const AttentionTape<float> copy = first;
  first = AttentionTape<float>();
  const AttentionTape<float> tape = copy;
  const auto forget = [](auto& heads) {
    using T = std::remove_cvref_t<decltype(heads.numbers[0])>;
    if constexpr (!std::is_same_v<T, float>) heads.numbers.assign(heads.numbers.size(), T(not_a_number));
  };
  forget(q);
  forget(k);
  forget(v);
  return op.backward(tape, grad_out.in(), to.query.out(), to.key.out(), to.value.out(), Threads{2});
}

template <class Q, class Ke, class V, class Op>
void check_training(const Op& op) {
  const Heads<Q> q(B, H, Nq, D, 1, 2);
  const Heads<Ke> k(B, Hk, Nk, D, 2);
  const Heads<V> v(B, Hk, Nk, Dv, 3);
  for (const Packed& sequences :
       {Packed::one(Nq, Nk), Packed({0, 2, 40, 70}, {0, 60, 60, 130}), Packed::padded({7, 70}, {90, 20})}) {
    Written narrow, wide;
    const auto of_narrow = train(op, q, k, v, sequences, narrow);
    const auto of_wide = train(op, q.floats(), k.floats(), v.floats(), sequences, wide);
    REQUIRE(difference_of(narrow, wide) == "");
    for (std::size_t h = 0; h < std::size_t(H); ++h) REQUIRE(of_narrow[h].scale == of_wide[h].scale);
  }
}

/// Softmax of bfloat16 against that of its floats. Tiles may leave out 2^-17 of a weight; apart from that, both passes
/// are about equally exact.
template <class Op>
void check_softmax(const Op& op, const Heads<Brain>& q, const Heads<Brain>& k, const Heads<Brain>& v,
                   const Packed& sequences, long double size) {
  Heads<float> out(q.batch, q.heads, q.tokens, v.dim), expected = out, threaded = out;
  op(q.in(), k.in(), v.in(), out.out(), sequences);
  op(q.in(), k.in(), v.in(), threaded.out(), sequences, Threads{3});
  op(q.floats().in(), k.floats().in(), v.floats().in(), expected.out(), sequences);
  CAPTURE(q.tokens, k.tokens, q.dim, v.dim);
  REQUIRE(difference(out.matrix(), expected.matrix(), (0x1p-17L + 2e-6L) * size) == "");
  REQUIRE(difference(out.matrix(), threaded.matrix(), 0) == "");
}

}  // namespace

TEST_CASE("training on heads of 16 bits has the bits of their floats", "[attention]") {
  check_training<Brain, Brain, Brain>(Attention{Biweight{}, Adaptive{}, DotProduct{}, Causal{}});
  check_training<Half, Half, Half>(Attention{Gaussian{}});
  check_training<Half, Brain, float>(Attention{Gaussian{}, Adaptive{}, DotProduct{}, SlidingWindow{9}});
  check_training<float, Half, Brain>(Attention{Triweight{}, FixedBandwidth{1.1}, Cosine{2.0}});
  std::vector<NadarayaWatson<RectifiedPower>> heads;
  for (const double alpha : {1.2, 1.5, 1.7, 2.0}) heads.emplace_back(RectifiedPower::with_alpha(alpha));
  check_training<Brain, Half, Brain>(Attention(heads));
}

TEST_CASE("sparse attention on heads of 16 bits has the bits of their floats, screened or not", "[attention]") {
  // Flat scores of 352 keys are worth screening nowhere, peaked ones of 1,100 everywhere, and some between on one machine alone.
  const auto check = [](const auto& op, Index tokens, double size) {
    const Heads<Brain> q(1, 4, tokens, 64, 1, size), k(1, 2, tokens, 64, 2);
    const Heads<Half> v(1, 2, tokens, 16, 3);
    Heads<float> out(1, 4, tokens, 16), threaded = out, expected = out;
    op(q.in(), k.in(), v.in(), out.out());
    op(q.in(), k.in(), v.in(), threaded.out(), Threads{3});
    op(q.floats().in(), k.floats().in(), v.floats().in(), expected.out());
    CAPTURE(tokens, size);
    REQUIRE(difference(out.matrix(), expected.matrix(), 0) == "");
    REQUIRE(difference(out.matrix(), threaded.matrix(), 0) == "");
  };
  for (const Index tokens : test::sanitized ? std::vector<Index>{352} : std::vector<Index>{352, 1100}) {
    for (const double size : test::sanitized ? std::vector{1.0} : std::vector{0.3, 1.0, 3.0}) {
      check(Attention{Triweight{}}, tokens, size);
      check(Attention{Biweight{}, Adaptive{}, DotProduct{}, Causal{}}, tokens, size);
    }
  }
}

TEST_CASE("a similarity that prepares keys reads heads of 16 bits too", "[attention]") {
  const Heads<Half> q(B, H, Nq, D, 1), k(B, Hk, Nk, D, 2), v(B, Hk, Nk, Dv, 3);
  Heads<float> out(B, H, Nq, Dv), expected = out;
  const Attention op{Biweight{}, Adaptive{}, Cosine{5.0}};
  op(q.in(), k.in(), v.in(), out.out());
  op(q.floats().in(), k.floats().in(), v.floats().in(), expected.out());
  REQUIRE(difference(out.matrix(), expected.matrix(), 0) == "");
}

TEST_CASE("a chosen operator takes heads of 16 bits", "[attention]") {
  const Heads<Brain> q(B, H, Nq, D, 1, 2), k(B, Hk, Nk, D, 2);
  const Heads<Half> v(B, Hk, Nk, Dv, 3);
  const Packed sequences = Packed::one(Nq, Nk);
  const AnySimilarity<float> similarity{DotProduct{}};
  const ChosenOperator<float> chosen(AnyRule<float>(Biweight{}, Adaptive{}, similarity), similarity,
                                     AnyMask<float>(Causal{}));
  const AnyAttention<float> any({&chosen});
  const Attention op{Biweight{}, Adaptive{}, DotProduct{}, Causal{}};
  Written by_any, by_op;
  attend_stored(any, q.in(), k.in(), v.in(), by_any.out.out(), sequences, Threads{2});
  op(q.in(), k.in(), v.in(), by_op.out.out());
  REQUIRE(difference(by_any.out.matrix(), by_op.out.matrix(), 0) == "");
  const auto tape = forward_stored(any, q.in(), k.in(), v.in(), by_any.out.out(), sequences);
  const Heads<float> grad_out(B, H, Nq, Dv, 4);
  any.backward(tape, grad_out.in(), by_any.query.out(), by_any.key.out(), by_any.value.out());
  train(op, q, k, v, sequences, by_op);
  REQUIRE(difference_of(by_any, by_op) == "");
}

TEST_CASE("calls on heads of 16 bits are checked before anything is written", "[attention][errors]") {
  const Heads<Half> q(B, H, Nq, D, 1), k(B, Hk, Nk, D, 2), v(B, Hk, Nk, Dv, 3), few(B, Hk, Nk - 1, Dv, 3);
  std::vector<float> memory(std::size_t(B * H * Nq * D), 5.0f);
  const HeadView<float> over(memory.data(), B, H, Nq, Dv, {H * Nq * D, Nq * D, D});
  const HeadView<const Half> inside(reinterpret_cast<const Half*>(memory.data()), B, H, Nq, D, {H * Nq * D, Nq * D, D});
  const Attention op{Biweight{}};
  AttentionTape<float> tape;
  const auto check = [&](const auto& query, const auto& value, const std::string& said) {
    REQUIRE(test::message([&] { op(query, k.in(), value, over); }).find("Attention::operator(): " + said) !=
            std::string::npos);
    REQUIRE(test::message([&] { op.forward(query, k.in(), value, over, tape); }).find("Attention::forward: " + said) !=
            std::string::npos);
    REQUIRE(std::count(memory.begin(), memory.end(), 5.0f) == std::ptrdiff_t(memory.size()));
    REQUIRE(tape.heads() == 0);
  };
  check(q.in(), few.in(), "key and value must have the same batch, heads and tokens");
  check(inside, v.in(), "out [2 x 4 x 70 x 7] must not share memory with query");
}

TEST_CASE("softmax of bfloat16 is that of its floats", "[attention]") {
  INFO("tiles: " << simd::has_bfloat16_tiles());
  const struct {
    Index queries, keys, dim, value_dim;
  } sizes[] = {{1, 1, 1, 1},      {3, 40, 31, 15},   {16, 64, 32, 16},  {17, 65, 33, 17},
               {40, 257, 64, 48}, {100, 300, 5, 64}, {2, 1100, 65, 33}, {33, 0, 8, 8}};
  for (const auto& n : sizes) {
    const Heads<Brain> q(2, 4, n.queries, n.dim, 1, 2), k(2, 2, n.keys, n.dim, 2), v(2, 2, n.keys, n.value_dim, 3);
    const Packed one = Packed::one(n.queries, n.keys);
    check_softmax(Attention{Gaussian{}}, q, k, v, one, 5);
    check_softmax(Attention{Gaussian{}, Adaptive{}, DotProduct{}, Causal{}}, q, k, v, one, 5);
    check_softmax(Attention{Gaussian{}, Adaptive{}, DotProduct{0.3}, SlidingWindow{70}}, q, k, v, one, 5);
    check_softmax(Attention{Gaussian{}, Adaptive{}, DotProduct{},
                            BooleanMask{[](Index i, Index j) { return (i * 7 + j) % 3 != 0; }}},
                  q, k, v, one, 5);
    check_softmax(Attention{Gaussian{}}, q, k, v, Packed::padded_keys({n.keys / 2, n.keys}), 5);
  }
  const Heads<Brain> q(1, 2, 5, 16, 1, 2), k(1, 2, 700, 16, 2), v(1, 2, 700, 16, 3);
  check_softmax(Attention{Gaussian{}, Adaptive{}, DotProduct{},
                          AdditiveBias{[](Index i, Index j) { return j > 600 ? 0.5 * double(i) : -0.01 * double(j); }}},
                q, k, v, Packed::one(5, 700), 5);
}

TEST_CASE("caches of 16 bits take queries of 16 bits", "[attention][cache]") {
  const Heads<Brain> q(2, 4, 3, 33, 1, 2), k(2, 2, 700, 33, 2), v(2, 2, 700, 20, 3);
  LayerCache<Brain> brain(2, 2, 33, 20);
  LayerCache<Half> half(2, 2, 33, 20);
  brain.append(k.in(), v.in());
  half.append(k.floats().in(), v.floats().in());
  brain.forget_oldest(0, 30);
  Heads<float> out(2, 4, 3, 20), expected = out;
  const auto check = [&](const auto& op, const auto& cache, long double tolerance) {
    op(q.in(), cache, out.out(), Threads{2});
    op(q.floats().in(), cache, expected.out());
    REQUIRE(difference(out.matrix(), expected.matrix(), tolerance) == "");
  };
  check(Attention{Biweight{}, Adaptive{}, DotProduct{}, Causal{}}, brain, 0);
  check(Attention{Gaussian{}}, half, 0);
  check(Attention{Gaussian{}}, brain, 5 * (0x1p-17L + 2e-6L));
  const HeadView<float> over(reinterpret_cast<float*>(const_cast<Brain*>(q.numbers.data())), 2, 4, 3, 20, {0, 0, 0, 0});
  const HeadView<float> shared(const_cast<float*>(reinterpret_cast<const float*>(q.numbers.data())), 2, 4, 3, 20,
                               {240, 60, 20});
  REQUIRE(test::message([&] { Attention{Biweight{}}(q.in(), brain, shared); }).find("must not share memory with query") !=
          std::string::npos);
  REQUIRE(test::message([&] {
            Attention{Biweight{}}(q.in(), brain, over);
          }).find("must not have two elements in one place") != std::string::npos);
}

TEST_CASE("softmax of bfloat16 treats NaN and infinity as that of its floats", "[attention]") {
  Heads<Brain> q(1, 2, 40, 20, 1, 2), k(1, 1, 300, 20, 2), v(1, 1, 300, 18, 3);
  const auto at = [](Heads<Brain>& heads, Index token, Index d) -> Brain& {
    return heads.numbers[std::size_t(token * heads.heads * heads.dim + d)];
  };
  const auto check = [&] {
    check_softmax(Attention{Gaussian{}, Adaptive{}, DotProduct{}, Causal{}}, q, k, v, Packed::one(40, 300), 5);
    check_softmax(Attention{Gaussian{}}, q, k, v, Packed::one(40, 300), 5);
  };
  at(v, 280, 3) = Brain(infinity);
  at(v, 290, 17) = Brain(not_a_number);
  check();  // some queries do not see them
  at(v, 7, 0) = Brain(-infinity);
  check();
  at(k, 270, 1) = Brain(not_a_number);
  check();
  at(k, 270, 1) = Brain(-infinity);
  at(q, 3, 2) = Brain(not_a_number);
  check();
}

TEST_CASE("softmax of bfloat16 by tiles is exact but for 2^-17 of a weight", "[attention]") {
  const Heads<Brain> q(1, 1, 48, 64, 1, 2), k(1, 1, 500, 64, 2), v(1, 1, 500, 32, 3);
  Heads<float> out(1, 1, 48, 32);
  const Attention op{Gaussian{}};
  op(q.in(), k.in(), v.in(), out.out());
  const RowMatrix<float> value = v.floats().matrix();
  const auto exact = [&](const RowMatrix<float>& of) {
    return reference::attend<long double>(NadarayaWatson{Gaussian{}}, q.floats().matrix(), k.floats().matrix(), of);
  };
  // What rounding the weights leaves, and what float scores of size 10 and their exponentials do.
  const RowMatrix<long double> bound = exact(value.cwiseAbs()) * (0x1p-17L + 3e-6L);
  const RowMatrix<long double> error = (out.matrix().cast<long double>() - exact(value)).cwiseAbs();
  for (Index i = 0; i < error.size(); ++i) REQUIRE(!(error.data()[i] > bound.data()[i]));
}
