// Every kernel under every normalization: the same bits for any sharding, and the result of one machine up to rounding.
#include "tests/support/sharding.hpp"

using namespace nadaraya;
using test::check_shardings;

namespace {

constexpr long double in_double = 2e-13L;

/// Those rules whose rows do not depend on the candidates that have no weight.
template <class K>
void check_bits(const K& kernel) {
  test::check_bits_of_one_machine<double>(NadarayaWatson{kernel, NearestNeighbors{9}, SquaredDistance{}}, 7, 130);
  if constexpr (K::compact) {
    test::check_bits_of_one_machine<double>(NadarayaWatson{kernel, FixedBandwidth{1.5}, SquaredDistance{}}, 7, 130);
    test::check_bits_of_one_machine<double>(NadarayaWatson{kernel, Unnormalized{1.5, 7.0}, SquaredDistance{}}, 7, 130);
  }
}

template <class K>
void check_kernel(const K& kernel) {
  check_bits(kernel);
  check_shardings<double>(NadarayaWatson{kernel, Anchored{1.5}}, in_double);
  check_shardings<double>(NadarayaWatson{kernel, FixedBandwidth{3.0}, SquaredDistance{}}, in_double);
  check_shardings<double>(NadarayaWatson{kernel, Unnormalized{3.0, 7.0}, SquaredDistance{}}, in_double);
  check_shardings<double>(NadarayaWatson{kernel, NearestNeighbors{9}, SquaredDistance{}}, in_double);
  test::check_divided_rows<double>(NadarayaWatson{kernel, NearestNeighbors{9}, SquaredDistance{}});
  if constexpr (K::compact) test::check_divided_rows<double>(NadarayaWatson{kernel, FixedBandwidth{3.0}, SquaredDistance{}});
  if constexpr (AdaptiveKernel<K> && K::compact) test::check_divided_rows<double>(NadarayaWatson{kernel, Adaptive{}});
  if constexpr (AdaptiveKernel<K>) {
    check_shardings<double>(NadarayaWatson{kernel, Adaptive{}}, in_double);
    check_shardings<float>(NadarayaWatson{kernel, Adaptive{}, DotProduct{4.0}}, 2e-4L, 100);
  }
}

}  // namespace

TEST_CASE("any sharding gives the bits of one rank: Epanechnikov") { check_kernel(Epanechnikov{}); }
TEST_CASE("any sharding gives the bits of one rank: biweight") { check_kernel(Biweight{}); }
TEST_CASE("any sharding gives the bits of one rank: triweight") { check_kernel(Triweight{}); }
TEST_CASE("any sharding gives the bits of one rank: other exponents") {
  check_kernel(RectifiedPower::with_exponent(1.7));
  check_shardings<double>(NadarayaWatson{RectifiedPower::with_exponent(0.6), Adaptive{}}, 1e-11L);
}
TEST_CASE("any sharding gives the bits of one rank: Gaussian") { check_kernel(Gaussian{}); }
TEST_CASE("any sharding gives the bits of one rank: uniform") { check_kernel(Uniform{}); }

// One machine knows other keys without weight, which take part in the last bits of a threshold and of a sum of weights.
TEST_CASE("adaptive and anchored rows of few keys have the bits of one machine", "[!mayfail]") {
  test::check_bits_of_one_machine<double>(NadarayaWatson{Epanechnikov{}, Adaptive{}}, 100, 130);
  test::check_bits_of_one_machine<double>(NadarayaWatson{Epanechnikov{}, Adaptive{}}, 100, 700);
  test::check_bits_of_one_machine<double>(NadarayaWatson{Biweight{}, Adaptive{}}, 100, 130);
  test::check_bits_of_one_machine<double>(NadarayaWatson{Epanechnikov{}, Anchored{0.5}}, 100, 130);
}
