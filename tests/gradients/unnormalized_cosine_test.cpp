#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("unnormalized, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels((Unnormalized{.bandwidth = 1.3, .mass = 2.5}), Cosine{.scale = 1.2});
}
