#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("anchored, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Anchored{1.6}, SquaredDistance{.scale = 0.8});
}
