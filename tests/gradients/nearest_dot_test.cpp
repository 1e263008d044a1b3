#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("nearest neighbours, dot product: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(NearestNeighbors{3}, DotProduct{.scale = 0.9});
}
