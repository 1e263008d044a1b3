// A call that is repeated with a workspace allocates nothing, and is the call without one bit by bit.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#if defined(NADARAYA_WRAPS_MALLOC)
// Eigen's matrices do not call operator new.
extern "C" void* __real_malloc(std::size_t size);
extern "C" void* __wrap_malloc(std::size_t size);
void* __wrap_malloc(std::size_t size) {
  ++nadaraya::test::allocations;
  return __real_malloc(size);
}
#endif

using namespace nadaraya;
using test::allocations_in;

namespace {

/// Allocations of a call that has been made a few times.
template <class Call>
long allocations_when_repeated(const Call& call) {
  for (int i = 0; i < 3; ++i) call();
  return allocations_in(call);
}

/// Forward and backward of an operator, in matrices of a type.
template <class Matrix, class Op>
void check_matrices(const Op& op) {
  using Scalar = typename Matrix::Scalar;
  test::Random random(7);
  // More than one block of queries and one panel of keys.
  constexpr Index queries = test::sanitized ? 100 : 150, keys = test::sanitized ? 80 : 170;
  const Matrix q = random.normal<Scalar>(queries, 20), k = random.normal<Scalar>(keys, 20), v = random.normal<Scalar>(keys, 9),
               grad_out = random.normal<Scalar>(queries, 9);
  const Workspace<Scalar> workspace;
  Matrix out;
  REQUIRE(allocations_when_repeated([&] { op(q, k, v, out, workspace); }) == 0);
  REQUIRE(Matrix(op(q, k, v)) == out);

  Tape<Scalar> tape;
  out.setZero();
  REQUIRE(allocations_when_repeated([&] { op.forward(q, k, v, out, tape, workspace); }) == 0);
  const Tape<Scalar> fresh = op.forward(q, k, v, out);
  const auto expected = op.backward(fresh, grad_out);
  auto grads = expected;
  REQUIRE(allocations_when_repeated([&] { op.backward(tape, grad_out, grads, workspace); }) == 0);
  REQUIRE(grads.query == expected.query);
  REQUIRE(grads.key == expected.key);
  REQUIRE(grads.value == expected.value);
  REQUIRE(tape.mean_support() == fresh.mean_support());
}

template <class Op>
void check(const char* name, const Op& op) {
  INFO(name);
  check_matrices<RowMatrix<float>>(op);
  check_matrices<Eigen::MatrixXf>(op);
}

}  // namespace

TEST_CASE("a repeated call of an operator allocates nothing", "[repeated]") {
  check("softmax", NadarayaWatson{Gaussian{}});
  check("1.5-entmax", NadarayaWatson{Biweight{}, Adaptive{}, Causal{}});
  check("sparsemax, screened", NadarayaWatson{Epanechnikov{}}.with(Screening::always));
  check("1.5-entmax of flat scores", NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{.scale = 0.01}});
  check("1.3-entmax", NadarayaWatson{RectifiedPower::with_alpha(1.3)});
  check("alpha above 2", NadarayaWatson{RectifiedPower::with_alpha(3.0)});
  check("top-k softmax", NadarayaWatson{Gaussian{}, NearestNeighbors{5}});
  check("nearest, borrowing the bandwidth", NadarayaWatson{Biweight{}, NearestNeighbors{9}, SquaredDistance{}});
  check("fixed bandwidth", NadarayaWatson{Biweight{}, FixedBandwidth{5.0}, SquaredDistance{}});
  check("local linear, fewer keys than columns", NadarayaWatson{Biweight{}, Adaptive{}}.with(LocalLinear{1e-2}));
  check("local linear, many keys", NadarayaWatson{Gaussian{}}.with(LocalLinear{1e-2}));
}

TEST_CASE("a repeated call on a cache, and appending to it, allocates nothing", "[repeated]") {
  test::Random random(8);
  const auto k = random.normal<float>(300, 16), v = random.normal<float>(300, 16), q = random.normal<float>(1, 16);
  const NadarayaWatson op{Biweight{}};
  const Workspace<float> workspace;
  KeyValueCache<float> cache(16, 16);
  cache.reserve(400);
  cache.append(k.topRows(200), v.topRows(200));
  RowMatrix<float> out;
  Index next = 200;
  REQUIRE(allocations_when_repeated([&] {
            cache.append(k.row(next), v.row(next));
            op(q, cache, out, workspace);
            ++next;
          }) == 0);
  REQUIRE(out == op(q, cache));
}

TEST_CASE("a repeated call of many heads allocates nothing", "[repeated]") {
  constexpr Index batch = 2, heads = 4, key_heads = 2, tokens = 130, dim = 12;
  test::Random random(9);
  const auto q = random.normal<float>(batch * heads * tokens, dim), k = random.normal<float>(batch * key_heads * tokens, dim),
             v = random.normal<float>(batch * key_heads * tokens, dim);
  RowMatrix<float> out(q.rows(), dim), grad_q(q.rows(), dim), grad_k(k.rows(), dim), grad_v(v.rows(), dim);
  const auto input = [](const auto& m, Index h) { return HeadView<const float>::bhnd(m.data(), batch, h, tokens, dim); };
  const auto output = [](auto& m, Index h) { return HeadView<float>::bhnd(m.data(), batch, h, tokens, dim); };
  const auto query = input(q, heads), key = input(k, key_heads), value = input(v, key_heads);
  const auto to = output(out, heads), by_query = output(grad_q, heads), by_key = output(grad_k, key_heads),
             by_value = output(grad_v, key_heads);
  const Packed sequences({0, 30, tokens});
  const Workspace<float> workspace;
  const auto check_heads = [&](const auto& attention, const auto& executor) {
    REQUIRE(allocations_when_repeated([&] { attention(query, key, value, to, executor); }) == 0);
    REQUIRE(allocations_when_repeated([&] { attention(query, key, value, to, sequences, executor); }) == 0);
    AttentionTape<float> tape;
    REQUIRE(allocations_when_repeated([&] { attention.forward(query, key, value, to, tape, executor); }) == 0);
    REQUIRE(allocations_when_repeated([&] { attention.forward(query, key, value, to, sequences, tape, executor); }) == 0);
    auto parameters = attention.backward(tape, query, by_query, by_key, by_value);
    const RowMatrix<float> first = grad_q, second = grad_k;
    REQUIRE(allocations_when_repeated([&] {
              attention.backward(tape, query, by_query, by_key, by_value, parameters, executor);
            }) == 0);
    REQUIRE(grad_q == first);
    REQUIRE(grad_k == second);
  };
  check_heads(Attention{Biweight{}}, workspace);
  const Attention each{std::vector(std::size_t(heads), NadarayaWatson{Gaussian{}, Adaptive{}, Causal{}})};
  check_heads(each, workspace);
  check_heads(each, AnyExecutor(workspace));

  std::vector<KeyValueCache<float>> caches;
  for (Index h = 0; h < batch * key_heads; ++h) {
    caches.emplace_back(dim, dim).append(k.middleRows(h * tokens, tokens), v.middleRows(h * tokens, tokens));
  }
  const std::span<const KeyValueCache<float>> all(caches);
  REQUIRE(allocations_when_repeated([&] { Attention{Biweight{}}(query, all, to, workspace); }) == 1);  // the Attention
}

TEST_CASE("a tape and gradients of any other pass may be used again", "[repeated]") {
  test::Random random(10);
  const NadarayaWatson plane{Biweight{}, FixedBandwidth{0.1}, SquaredDistance{}};
  const NadarayaWatson smooth{Gaussian{}, Adaptive{}, SquaredDistance{}};
  const Workspace<double> workspace;
  Tape<double> tape;
  auto grads = plane.backward(Tape<double>{}, RowMatrix<double>(0, 0));
  RowMatrix<double> out;
  const auto require_same = [&](const auto& op, Index n) {
    const auto q = random.normal<double>(n, 2), k = random.normal<double>(n, 2), v = random.normal<double>(n, 3);
    const auto expected = op.forward(q, k, v, out);
    op.forward(q, k, v, out, tape, workspace);
    REQUIRE(out == op(q, k, v));
    REQUIRE(tape.mean_support() == expected.mean_support());
    for (Index i = 0; i < n; i += 7) REQUIRE(tape.support_size(i) == expected.support_size(i));
    const auto wanted = op.backward(expected, v);
    auto got = op.backward(tape, v, workspace);
    REQUIRE(got.query == wanted.query);
    REQUIRE(got.key == wanted.key);
    REQUIRE(got.scale == wanted.scale);
  };
  for (const Index n : {3000, 5, 0, 200, 3000}) {
    require_same(plane, n);
    require_same(smooth, (std::min)(n, Index(300)));  // all pairs
  }
  REQUIRE(grads.query.size() == 0);
}

TEST_CASE("gradients must not lie where backward reads", "[repeated]") {
  test::Random random(11);
  const NadarayaWatson op{Biweight{}};
  RowMatrix<float> q = random.normal<float>(5, 4), out;
  const auto tape = op.forward(q, q, q, out);
  auto grads = op.backward(tape, out);
  const RowMatrix<float> expected = op.backward(tape, RowMatrix<float>(grads.query)).query;
  REQUIRE_THROWS_AS(op.backward(tape, grads.query, grads), std::invalid_argument);
  // An expression is evaluated first.
  op.backward(tape, 1.0f * grads.query, grads);
  REQUIRE(grads.query == expected);
}
