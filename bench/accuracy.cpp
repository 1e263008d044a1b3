// The table of float errors: the largest error of the library over that of the dense textbook computation in float, both
// against the same computation in double (textbook.hpp says which), for every rule, some numbers of queries and keys,
// dimensions and levels of scores; in the root mean square over some inputs.
//
//   bench_accuracy [rule] [D] [inputs] [mean]    a rule's name or all; 0 for all D; 4; and 0, which is added to values and dL/dout
//
// Ratios above 1.3 are marked; the program then returns 1. Takes some minutes. Where two keys are equally near in float but not
// in double, the gradients of anchored rows, which are not continuous there, may differ by far more than rounding.
#include "textbook.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using namespace nadaraya;
using textbook::Normalization;
using textbook::Rule;

struct Shape {
  Index queries, keys;
};

struct Wanted {
  std::string rule = "all";
  Index dim = 0;
  std::uint64_t inputs = 4;
  double mean = 0.0;
  bool found = false;
  bool right = true;
};

/// Prints a line.
template <class Op>
void compare(Wanted& wanted, const char* name, const Op& op, const Rule& rule, const Shape& shape, Index dim, double scale) {
  if (wanted.rule != "all" && wanted.rule != name) return;
  wanted.found = true;
  textbook::Comparison errors;
  for (std::uint64_t seed = 0; seed < wanted.inputs; ++seed) {
    errors.add(op, rule, textbook::Inputs(shape.queries, shape.keys, dim, scale, seed, wanted.mean));
  }
  std::printf("%-10s %6td %6td %4td %6.2f ", name, shape.queries, shape.keys, dim, scale);
  for (std::size_t i = 0; i < errors.count; ++i) {
    if (errors.ratio(i) == 0.0) {
      std::printf("      - ");
    } else {
      std::printf(" %6.2f%c", errors.ratio(i), errors.ratio(i) <= 1.3 ? ' ' : '*');
    }
  }
  std::printf("\n");
  std::fflush(stdout);
  wanted.right = wanted.right && errors.largest() <= 1.3;
}

/// Every rule. Anchored and fixed bandwidths let a part of the keys have weight.
void compare_all(Wanted& wanted, const Shape& shape, Index dim, double scale) {
  const auto line = [&](const char* name, const auto& op, const Rule& rule) {
    compare(wanted, name, op, rule, shape, dim, scale);
  };
  const double infinity = std::numeric_limits<double>::infinity();
  const double alpha = 1.7, exponent = RectifiedPower::with_alpha(alpha).exponent();
  line("softmax", NadarayaWatson{Gaussian{}, Adaptive{}}, Rule{Normalization::adaptive, infinity});
  line("sparsemax", NadarayaWatson{Epanechnikov{}, Adaptive{}}, Rule{Normalization::adaptive, 1.0});
  line("1.5-entmax", NadarayaWatson{Biweight{}, Adaptive{}}, Rule{Normalization::adaptive, 2.0});
  line("4/3-entmax", NadarayaWatson{Triweight{}, Adaptive{}}, Rule{Normalization::adaptive, 3.0});
  line("1.7-entmax", NadarayaWatson{RectifiedPower::with_alpha(alpha), Adaptive{}}, Rule{Normalization::adaptive, exponent});
  line("anchored", NadarayaWatson{Epanechnikov{}, Anchored{1.0}}, Rule{Normalization::anchored, 1.0, 1.0});
  const Index neighbors = shape.keys / 4;
  line("nearest", NadarayaWatson{Gaussian{}, NearestNeighbors{neighbors}},
       Rule{Normalization::nearest, infinity, 1.0, neighbors});
  // About as far as keys are from queries.
  const double bandwidth = static_cast<float>(std::sqrt((1.0 + scale * scale) * static_cast<double>(dim)));
  line("fixed", NadarayaWatson{Biweight{}, FixedBandwidth{bandwidth}, SquaredDistance{}},
       Rule{Normalization::fixed, 2.0, bandwidth});
  line("fixed-exp", NadarayaWatson{Gaussian{}, FixedBandwidth{bandwidth}, SquaredDistance{}},
       Rule{Normalization::fixed, infinity, bandwidth});
}

}  // namespace

int main(int count, char** arguments) {
  Wanted wanted;
  if (count > 1) wanted.rule = arguments[1];
  if (count > 2) wanted.dim = std::atoi(arguments[2]);
  if (count > 3) wanted.inputs = static_cast<std::uint64_t>(std::atoi(arguments[3]));
  if (count > 4) wanted.mean = std::atof(arguments[4]);
  std::printf("largest error of float over the textbook's, textbook with Eigen %d.%d.%d (%s)\n", EIGEN_WORLD_VERSION,
              EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION, Eigen::SimdInstructionSetsInUse());
  std::printf("%-10s %6s %6s %4s %6s ", "rule", "Nq", "Nk", "D", "scores");
  for (const char* name : textbook::Comparison::names) std::printf(" %6s ", name);
  std::printf("\n");
  for (const Shape& shape : {Shape{512, 512}, Shape{64, 4096}, Shape{4096, 64}, Shape{32, 16384}, Shape{16384, 32}}) {
    for (const Index dim : {8, 64, 256}) {
      if (wanted.dim != 0 && dim != wanted.dim) continue;
      for (const double scale : {0.01, 1.0, 30.0}) compare_all(wanted, shape, dim, scale);
    }
  }
  if (!wanted.found) std::fprintf(stderr, "no rule %s\n", wanted.rule.c_str());
  return wanted.found && wanted.right ? 0 : 1;
}
