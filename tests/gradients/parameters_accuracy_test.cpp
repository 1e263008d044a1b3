// Gradients of alpha and scale in float: their error is at most 1.3 times that of the dense textbook computation in
// float. They are sums over all pairs, whose terms nearly cancel where scores are flat.
#include "bench/textbook.hpp"

#include "tests/support/catch.hpp"

#include <cstddef>
#include <cstdint>

using namespace nadaraya;

namespace {

/// One number for each input: of fewer inputs it would be a matter of luck whose is the nearer.
template <class Op>
void check(const Op& op, const textbook::Rule& rule, double scale) {
  struct {
    Index queries, keys;
  } const shapes[] = {{16, 1024}, {1024, 16}, {128, 128}};
  for (const auto& [queries, keys] : shapes) {
    textbook::Comparison errors;
    for (std::uint64_t seed = 0; seed < 16; ++seed) errors.add(op, rule, textbook::Inputs(queries, keys, 16, scale, seed));
    for (std::size_t i = errors.parameters; i < errors.count; ++i) {
      INFO(queries << " queries, " << keys << " keys, scores x " << scale << ", " << errors.names[i]);
      CHECK(errors.ratio(i) <= 1.3);
    }
  }
}

}  // namespace

TEST_CASE("gradients of alpha in float are as accurate as the textbook's", "[gradients][accuracy]") {
  for (const double alpha : {1.04, 1.3, 1.7}) {
    INFO("alpha " << alpha);
    const RectifiedPower kernel = RectifiedPower::with_alpha(alpha);
    for (const double scale : {0.01, 1.0}) {
      check(NadarayaWatson{kernel, Adaptive{}}, textbook::Rule{textbook::Normalization::adaptive, kernel.exponent()}, scale);
    }
  }
}
