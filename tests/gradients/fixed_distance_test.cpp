#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("fixed bandwidth, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(FixedBandwidth{1.9}, SquaredDistance{.scale = 0.8});
}
