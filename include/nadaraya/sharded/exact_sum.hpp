// Sums of numbers that are the same bits in whatever order they are added, so that ranks may add their parts as they like.
#pragma once

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Adds numbers of at most `bound` in size, at most `terms` of them, on all ranks together. Each number is cut into a multiple
/// of a unit that depends on these two alone, and a multiple of a smaller unit; the rest, less than terms^2 bound / 2^100,
/// is dropped. Sums of such multiples are exact in double, and so do not depend on their order (Demmel & Nguyen,
/// "Fast reproducible floating-point summation", 2013). Numbers that are not finite are added as they are.
class SplitAddition {
 public:
  SplitAddition(double bound, double terms) {
    if (!(bound > 0) || !std::isfinite(bound)) return;
    const int count = std::ilogb(terms < 1 ? 1.0 : terms) + 1;
    // 2^k >= 2 terms bound: then x + 1.5 2^k is in the binade of 2^k, and so are all sums.
    const int k = std::ilogb(bound) + count + 2;
    if (k > 1020) return;
    high_ = std::scalbn(1.5, k);
    low_ = std::scalbn(1.5, k - 52 + count);
  }

  /// Adds x to a sum, which is sum[0] + sum[1].
  void add(double x, double* sum) const {
    if (!std::isfinite(x)) {
      sum[0] += x;
      return;
    }
    const double high = (x + high_) - high_;
    const double rest = x - high;
    sum[0] += high;
    sum[1] += (rest + low_) - low_;
  }

 private:
  double high_ = 0;
  double low_ = 0;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
