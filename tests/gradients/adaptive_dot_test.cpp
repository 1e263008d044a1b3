#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("adaptive, dot product: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Adaptive{}, DotProduct{.scale = 0.9});
}
