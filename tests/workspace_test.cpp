// Scratch memory that is kept: a call that finds it allocates no more for many blocks than for one.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

using namespace nadaraya;
using test::allocations_in;

namespace {

template <class Op>
void check(const char* name, const Op& op) {
  INFO(name);
  test::Random random(31);
  const auto q = random.normal<float>((test::sanitized ? 5 : 20) * 96, 24);
  const auto k = random.normal<float>(700, 24);
  const auto v = random.normal<float>(700, 10);
  RowMatrix<float> out(q.rows(), v.cols());
  const Workspace<float> workspace;
  const auto call = [&](Index queries, const auto& executor) {
    return allocations_in([&] { out.topRows(queries) = op(q.topRows(queries), k, v, executor); });
  };
  call(q.rows(), workspace);
  call(96, workspace);
  const long one_block = call(96, workspace);
  REQUIRE(call(q.rows(), workspace) == one_block);
  REQUIRE(call(96, Serial{}) > one_block);
}

}  // namespace

TEST_CASE("with a workspace no block allocates", "[workspace]") {
  check("softmax", NadarayaWatson{Gaussian{}});
  check("sparsemax", NadarayaWatson{Epanechnikov{}});
  check("sparsemax, screened", NadarayaWatson{Epanechnikov{}}.with(Screening::always));
  check("1.5-entmax of flat scores", NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{.scale = 0.01}});
  check("ReLUmax", NadarayaWatson{Epanechnikov{}, Anchored{1.0}, DotProduct{}, Causal{}});
  check("fixed bandwidth", NadarayaWatson{Biweight{}, FixedBandwidth{4.0}, SquaredDistance{}});
}

TEST_CASE("a workspace serves operators of any size, one after the other", "[workspace]") {
  test::Random random(33);
  const Workspace<double, Threads> workspace(Threads{2});
  for (const Index n : {300, 5, 1, 0, 200}) {
    const auto q = random.normal<double>(n, 7);
    const auto k = random.normal<double>(n + 3, 7);
    const auto v = random.normal<double>(n + 3, 4);
    const NadarayaWatson op{Biweight{}};
    const NadarayaWatson smooth{Gaussian{}};
    REQUIRE(op(q, k, v, workspace) == op(q, k, v));
    REQUIRE(smooth(q, k, v, workspace) == smooth(q, k, v));
  }
}
