#include "tests/gradients/check.hpp"

using namespace nadaraya;

TEST_CASE("adaptive, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Adaptive{}, Cosine{.scale = 2.0});
}

TEST_CASE("anchored, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(Anchored{1.0}, Cosine{.scale = 2.0});
}

TEST_CASE("fixed bandwidth, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(FixedBandwidth{1.4}, Cosine{.scale = 1.2});
}

TEST_CASE("nearest neighbours, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels(NearestNeighbors{3}, Cosine{.scale = 2.0});
}

TEST_CASE("unnormalized, cosine: forward and gradients agree with the oracle for every kernel and mask", "[gradients]") {
  test::check_kernels((Unnormalized{.bandwidth = 1.3, .mass = 2.5}), Cosine{.scale = 1.2});
}
