#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("anchored, dot product: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Anchored{1.1}, DotProduct{.scale = 0.9});
}
