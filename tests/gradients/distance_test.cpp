#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("adaptive, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Adaptive{}, SquaredDistance{.scale = 0.3});
}

TEST_CASE("anchored, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Anchored{1.6}, SquaredDistance{.scale = 0.8});
}

TEST_CASE("fixed bandwidth, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(FixedBandwidth{1.9}, SquaredDistance{.scale = 0.8});
}

TEST_CASE("nearest neighbours, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(NearestNeighbors{3}, SquaredDistance{.scale = 0.8});
}

TEST_CASE("unnormalized, squared distance: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels((Unnormalized{.bandwidth = 1.9, .mass = 2.5}), SquaredDistance{.scale = 0.8});
}
