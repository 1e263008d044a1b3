// What training needs besides gradients: optimizer, schedule, clipping, first parameters, threads.
#include <nadaraya/mosaic/adamw.hpp>
#include <nadaraya/mosaic/clip.hpp>
#include <nadaraya/mosaic/cosine_schedule.hpp>
#include <nadaraya/mosaic/initialize.hpp>
#include <nadaraya/mosaic/stretches.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <cmath>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::mosaic;

TEST_CASE("a layout gives every parameter a place of its own", "[mosaic]") {
  Layout layout;
  const Slot a = layout.add("a", {2, 3, 1}, 3);
  const Slot b = layout.add("b", {4}, 4);
  REQUIRE(layout.size() == 10);
  Parameters<double> parameters(layout);
  parameters[a](1, 2) = 1;
  parameters[b](0, 0) = 2;
  REQUIRE(parameters.vector()(5) == 1);
  REQUIRE(parameters.vector()(6) == 2);
  REQUIRE(layout.find("b")->slot.offset == 6);
  REQUIRE(layout.find("c") == nullptr);
  REQUIRE_THROWS_WITH(layout.add("a", {1}, 1), "nadaraya::mosaic::Layout::add: there are two parameters a");
  REQUIRE_THROWS_WITH(layout.add("c", {2, 0}, 1), "nadaraya::mosaic::Layout::add: c has a dimension of 0");
  REQUIRE_THROWS_WITH(layout.add("c", {Index(1) << 40, Index(1) << 40}, 1), "nadaraya::mosaic::Layout::add: c is too large");
}

TEST_CASE("AdamW takes the steps of its formula, and decays matrices only", "[mosaic]") {
  Layout layout;
  layout.add("matrix", {1, 2}, 2);
  layout.add("vector", {2}, 2);
  Parameters<double> parameters(layout), grads(layout);
  parameters.vector() << 1, -2, 3, -4;
  std::vector<double> expected{1, -2, 3, -4}, m(4, 0), v(4, 0);
  AdamW::State<double> state(layout);
  test::Random random(1);
  for (int step = 1; step <= 3; ++step) {
    const double rate = 0.1 / step;
    for (std::size_t i = 0; i < 4; ++i) {
      const double g = grads.vector()(static_cast<Index>(i)) = random.normal();
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.99 * v[i] + 0.01 * g * g;
      if (i < 2) expected[i] -= rate * 0.1 * expected[i];
      expected[i] -= rate * (m[i] / (1 - std::pow(0.9, step))) / (std::sqrt(v[i] / (1 - std::pow(0.99, step))) + 1e-8);
    }
    AdamW{}.step(layout, rate, grads, state, parameters, Serial{});
    for (std::size_t i = 0; i < 4; ++i) REQUIRE(std::abs(parameters.vector()(static_cast<Index>(i)) - expected[i]) <= 1e-14);
  }
  REQUIRE(state.step == 3);
}

TEST_CASE("the learning rate warms up and falls along a cosine", "[mosaic]") {
  const CosineSchedule rate{1.0, 0.1, 10, 110};
  REQUIRE(std::abs(rate(0) - 1.0 / 11) <= 1e-15);
  REQUIRE(std::abs(rate(9) - 10.0 / 11) <= 1e-15);
  REQUIRE(rate(10) == 1.0);
  REQUIRE(std::abs(rate(60) - 0.55) <= 1e-15);
  REQUIRE(rate(110) == 0.1);
  REQUIRE(rate(1000) == 0.1);
}

TEST_CASE("gradients are clipped together", "[mosaic]") {
  Layout layout;
  layout.add("a", {200, 200}, 200);
  Parameters<float> grads(layout);
  grads.vector().setConstant(0.01f);
  REQUIRE(std::abs(norm(grads, Threads{3}) - 2.0) <= 1e-6);
  REQUIRE(std::abs(clip(grads, 3.0, Serial{}) - 2.0) <= 1e-6);
  REQUIRE(grads.vector()(7) == 0.01f);
  REQUIRE(std::abs(clip(grads, 0.5, Serial{}) - 2.0) <= 1e-6);
  REQUIRE(std::abs(norm(grads, Serial{}) - 0.5) <= 1e-6);
}

TEST_CASE("first parameters", "[mosaic]") {
  Layout layout;
  const Slot matrix = layout.add("x.linear.weight", {100, 64}, 64);
  const Slot projection = layout.add("x.c_proj.weight", {64, 64}, 64);
  const Slot rates = layout.add("x.leaky_key_beta", {4}, 4);
  const Slot widths = layout.add("blocks.0.attn.kernel_beta", {2}, 2);
  const Slot norms = layout.add("ln.weight", {3}, 3);
  Parameters<double> parameters(layout), same(layout), other(layout);
  initialize(layout, 4, 1, {0.2, 0.0}, parameters);
  initialize(layout, 4, 1, {0.2, 0.0}, same);
  initialize(layout, 4, 2, {0.2, 0.0}, other);
  REQUIRE((parameters.vector() == same.vector()).all());
  REQUIRE(parameters.vector()(0) != other.vector()(0));
  // Standard deviations of 6400 and 4096 draws are within 6 / sqrt(2 n) of the truth.
  REQUIRE(std::abs(std::sqrt(parameters[matrix].squaredNorm() / 6400) * 8 - 1) <= 0.053);
  REQUIRE(std::abs(std::sqrt(parameters[projection].squaredNorm() / 4096) * 16 - 1) <= 0.067);
  REQUIRE(parameters[rates](0, 0) == 0.05);
  REQUIRE(std::abs(parameters[rates](0, 3) - 0.5) <= 1e-15);
  REQUIRE(parameters[widths](0, 1) == 0.2);
  REQUIRE(parameters[norms](0, 2) == 1);
}

TEST_CASE("any executor does what the one behind it does", "[mosaic]") {
  std::vector<int> done(40, 0);
  const Threads threads{4};
  const AnyExecutor any = threads;
  any.parallel_for(40, [&](Index i) { ++done[static_cast<std::size_t>(i)]; });
  for_stretches(40, 16, any, [&](Index first, Index count) {
    REQUIRE(count == (first == 32 ? 8 : 16));
    for (Index i = first; i < first + count; ++i) ++done[static_cast<std::size_t>(i)];
  });
  REQUIRE(done == std::vector<int>(40, 2));
}
