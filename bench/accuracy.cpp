// The table of float errors: the largest error of the library over that of the dense textbook computation in float, both
// against the same computation in double (textbook.hpp says which), for every rule, some numbers of queries and keys,
// dimensions and levels of scores; in the root mean square over some inputs.
//
//   bench_accuracy [rule] [D] [inputs] [mean]    a rule's name or all; 0 for all D; 4; and 0, which is added to values and dL/dout
//
// Ratios above 1.3 are marked; the program then returns 1. Of a few inputs, one number's error is above that of an equally exact
// computation by 1.3 in a third of the cases: a line with such a ratio is made anew, of 16 times as many other inputs, and the
// column n says how many. Inputs of anchored rows with two keys that float cannot tell apart are left out: the gradient is not
// continuous there, and the two may differ by far more than rounding. Takes some minutes.
#include "textbook.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
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

/// Has a query two nearest keys whose scores differ by no more than rounding in float may change?
bool has_ties(const textbook::Inputs& in) {
  const RowMatrix<double> query = in.query.cast<double>(), key = in.key.cast<double>();
  const double unit = 4 * static_cast<double>(std::numeric_limits<float>::epsilon());
  for (Index i = 0; i < query.rows(); ++i) {
    Eigen::VectorXd scores = key * query.row(i).transpose();
    Index nearest = 0;
    const double largest = scores.maxCoeff(&nearest);
    scores(nearest) = -std::numeric_limits<double>::infinity();
    if (largest - scores.maxCoeff() <= unit * query.row(i).norm() * key.row(nearest).norm()) return true;
  }
  return false;
}

/// The errors over a number of inputs, of the seeds from `seed` on.
template <class Op>
textbook::Comparison errors_of(const Op& op, const Rule& rule, const Shape& shape, Index dim, double scale, double mean,
                               std::uint64_t inputs, std::uint64_t seed) {
  textbook::Comparison errors;
  for (std::uint64_t done = 0; done < inputs; ++seed) {
    const textbook::Inputs in(shape.queries, shape.keys, dim, scale, seed, mean);
    if (rule.normalization == Normalization::anchored && has_ties(in)) continue;
    errors.add(op, rule, in);
    ++done;
  }
  return errors;
}

/// Prints a line.
template <class Op>
void compare(Wanted& wanted, const char* name, const Op& op, const Rule& rule, const Shape& shape, Index dim, double scale) {
  if (wanted.rule != "all" && wanted.rule != name) return;
  wanted.found = true;
  std::uint64_t inputs = wanted.inputs;
  textbook::Comparison errors = errors_of(op, rule, shape, dim, scale, wanted.mean, inputs, 0);
  if (errors.largest() > 1.3) {
    inputs *= 16;
    errors = errors_of(op, rule, shape, dim, scale, wanted.mean, inputs, 1000);
  }
  std::printf("%-10s %6td %6td %4td %6.2f %3d ", name, shape.queries, shape.keys, dim, scale, static_cast<int>(inputs));
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
  std::printf("%-10s %6s %6s %4s %6s %3s ", "rule", "Nq", "Nk", "D", "scores", "n");
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
