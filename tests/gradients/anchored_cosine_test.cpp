#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("anchored, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Anchored{1.0}, Cosine{.scale = 2.0});
}
