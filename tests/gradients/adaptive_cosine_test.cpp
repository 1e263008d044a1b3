#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("adaptive, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Adaptive{}, Cosine{.scale = 2.0});
}
