#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("fixed bandwidth, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(FixedBandwidth{1.4}, Cosine{.scale = 1.2});
}
