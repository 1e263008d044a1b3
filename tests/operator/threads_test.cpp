// The operator in blocks: every size around a tile, a panel and a block agrees with the oracle, and
// the number and order of threads change no bit.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/executors.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <stdexcept>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

template <class Op>
void check_size(const Op& op, Index queries, Index keys, Index dimension, Index values) {
  INFO(queries << " queries, " << keys << " keys, " << dimension << " and " << values << " columns");
  test::Random random(static_cast<std::uint64_t>(queries * 1000 + keys));
  const auto q = random.normal<double>(queries, dimension);
  const auto k = random.normal<double>(keys, dimension);
  const auto v = random.normal<double>(keys, values);
  // Sums of at most 300 terms of size about 1 in double.
  REQUIRE(difference(op(q, k, v), reference::attend<long double>(op, q, k, v), 1e-13L) == "");
}

template <class Op>
void check_threads(const Op& op) {
  test::Random random(5);
  constexpr Index queries = test::sanitized ? 250 : 500, keys = test::sanitized ? 400 : 700;
  const auto q = random.normal<float>(queries, 24);
  const auto k = random.normal<float>(keys, 24);
  const auto v = random.normal<float>(keys, 10);
  RowMatrix<float> expected;
  const auto tape = op.forward(q, k, v, expected);
  const auto grads = op.backward(tape, expected);
  const auto same = [&](const auto& executor) {
    RowMatrix<float> out;
    const auto other = op.forward(q, k, v, out, executor);
    REQUIRE(difference(out, expected, 0) == "");
    REQUIRE(difference(op(q, k, v, executor), expected, 0) == "");
    REQUIRE(other.mean_support() == tape.mean_support());
    const auto other_grads = op.backward(other, expected, executor);
    REQUIRE(difference(other_grads.query, grads.query, 0) == "");
    REQUIRE(difference(other_grads.key, grads.key, 0) == "");
    REQUIRE(difference(other_grads.value, grads.value, 0) == "");
  };
  for (const int count : test::sanitized ? std::vector{1, 8} : std::vector{1, 2, 3, 4, 8}) {
    same(Threads{count});
    same(test::EachOf{count});
  }
  same(test::Backwards{});
  const Workspace<float> kept;
  same(kept);
  same(kept);
  same(Workspace<float, Threads>(Threads{3}));
}

}  // namespace

TEST_CASE("every size around a tile, a panel and a block", "[operator][sizes]") {
  const NadarayaWatson adaptive{Biweight{}, Adaptive{}, DotProduct{.scale = 1.0}};
  const NadarayaWatson causal{Epanechnikov{}, Adaptive{}, DotProduct{.scale = 1.0}, Causal{}};
  const NadarayaWatson window{Gaussian{}, Adaptive{}, DotProduct{.scale = 1.0}, SlidingWindow{70}};
  const NadarayaWatson fixed{Triweight{}, FixedBandwidth{3.0}, SquaredDistance{}};
  for (const Index queries : {1, 5, 6, 7, 95, 96, 97, 193}) {
    for (const Index keys : {1, 63, 64, 65, 127, 129, 300}) {
      check_size(adaptive, queries, keys, 3, 2);
      check_size(causal, queries, keys, 5, 3);
      check_size(window, queries, keys, 2, 1);
      check_size(fixed, queries, keys, 3, 2);
    }
  }
  for (Index dimension = 0; dimension <= 35; ++dimension) {
    check_size(adaptive, 7, 70, dimension, 35 - dimension);
    check_size(fixed, 7, 70, dimension, 35 - dimension);
  }
}

TEST_CASE("the number and order of threads change no bit", "[operator][threads]") {
  check_threads(NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{.scale = 0.5}, Causal{}});
  check_threads(NadarayaWatson{Gaussian{}, Adaptive{}});
  check_threads(NadarayaWatson{Epanechnikov{}, FixedBandwidth{5.0}, SquaredDistance{}});
}

TEST_CASE("small calls stay on their thread", "[operator][threads]") {
  const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{.scale = 0.5}, Causal{}};
  const auto regions = [&](Index queries, Index keys) {
    test::Random random(9);
    const auto q = random.normal<float>(queries, 24);
    const auto k = random.normal<float>(keys, 24);
    const auto v = random.normal<float>(keys, 10);
    const test::Counting executor;
    RowMatrix<float> out;
    const auto tape = op.forward(q, k, v, out, executor);
    const int forward = executor.calls;
    op.backward(tape, out, executor);
    return std::pair(forward, executor.calls - forward);
  };
  REQUIRE(regions(0, 0) == std::pair(0, 0));
  REQUIRE(regions(1, 1) == std::pair(0, 0));
  REQUIRE(regions(96, 96) == std::pair(0, 0));
  REQUIRE(regions(1, 1000) == std::pair(0, 0));
  const auto [forward, backward] = regions(2000, 1000);
  REQUIRE(forward >= 1);
  REQUIRE(backward >= 1);
}

TEST_CASE("an error on any thread reaches the caller", "[operator][threads]") {
  REQUIRE_THROWS_AS(Threads{0}.parallel_for(3, [](Index) {}), std::invalid_argument);
  for (const int count : {1, 2, 5}) {
    REQUIRE_THROWS_AS(Threads{count}.parallel_for(50,
                                                  [](Index i) {
                                                    if (i == 17) throw std::runtime_error("seventeen");
                                                  }),
                      std::runtime_error);
  }
}
