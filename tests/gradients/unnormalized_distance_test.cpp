#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("unnormalized, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels((Unnormalized{.bandwidth = 1.9, .mass = 2.5}), SquaredDistance{.scale = 0.8});
}
