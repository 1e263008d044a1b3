#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("adaptive, dot product: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Adaptive{}, DotProduct{.scale = 0.9});
}

TEST_CASE("anchored, dot product: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Anchored{1.1}, DotProduct{.scale = 0.9});
}

TEST_CASE("nearest neighbours, dot product: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(NearestNeighbors{3}, DotProduct{.scale = 0.9});
}
