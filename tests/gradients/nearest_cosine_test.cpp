#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("nearest neighbours, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(NearestNeighbors{3}, Cosine{.scale = 2.0});
}
