#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("adaptive, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Adaptive{}, SquaredDistance{.scale = 0.3});
}
