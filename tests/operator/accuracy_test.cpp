// The error of float results and gradients is at most 1.3 times that of the dense textbook computation in float, however
// many keys or queries are summed over. bench/accuracy.cpp prints the whole table.
#include "bench/textbook.hpp"

#include "tests/support/catch.hpp"

using namespace nadaraya;

namespace {

/// Few queries and many keys, and the other way round: sums over keys and over queries.
template <class Op>
void check(const Op& op, const textbook::Rule& rule) {
  constexpr Index dim = 16;
  for (const double scale : {0.01, 1.0, 30.0}) {
    // At large scores sums are short, and the rounding of the scores of few rows decides: of more rows, then.
    const Index few = scale > 1.0 ? 64 : 16, many = scale > 1.0 ? 512 : 2048;
    for (const bool keys : {true, false}) {
      textbook::Comparison errors;
      for (std::uint64_t seed = 0; seed < 6; ++seed) {
        errors.add(op, rule, textbook::Inputs(keys ? few : many, keys ? many : few, dim, scale, seed));
      }
      // There, the gradient of a parameter, one number of few terms, is more or less exact by luck.
      const std::size_t checked = scale > 1.0 ? errors.parameters : errors.count;
      for (std::size_t i = 0; i < checked; ++i) {
        const double ratio = errors.ratio(i);
        if (!(ratio <= 1.3)) {
          FAIL_CHECK("many " << (keys ? "keys" : "queries") << ", scores x " << scale << ", " << errors.names[i] << ": "
                             << ratio << " times the textbook's error");
        }
      }
    }
  }
  SUCCEED();
}

}  // namespace

TEST_CASE("float is as accurate as the textbook over any number of keys and queries", "[operator][accuracy]") {
  using textbook::Normalization, textbook::Rule;
  const double infinity = std::numeric_limits<double>::infinity();
  SECTION("softmax") { check(NadarayaWatson{Gaussian{}, Adaptive{}}, Rule{Normalization::adaptive, infinity}); }
  SECTION("sparsemax") { check(NadarayaWatson{Epanechnikov{}, Adaptive{}}, Rule{Normalization::adaptive, 1.0}); }
  SECTION("1.5-entmax") { check(NadarayaWatson{Biweight{}, Adaptive{}}, Rule{Normalization::adaptive, 2.0}); }
  SECTION("anchored") { check(NadarayaWatson{Epanechnikov{}, Anchored{1.0}}, Rule{Normalization::anchored, 1.0}); }
  SECTION("nearest") {
    check(NadarayaWatson{Gaussian{}, NearestNeighbors{500}}, Rule{Normalization::nearest, infinity, 1.0, 500});
  }
  SECTION("fixed") {
    check(NadarayaWatson{Biweight{}, FixedBandwidth{5.0}, SquaredDistance{}}, Rule{Normalization::fixed, 2.0, 5.0});
  }
}
