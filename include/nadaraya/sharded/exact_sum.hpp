// Sums of numbers that are the same bits in whatever order they are added, so that ranks may add their parts as they like.
#pragma once

#include "nadaraya/types.hpp"

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

  /// Adds x to a sum, which is high + low.
  void add(double x, double& high, double& low) const {
    if (std::isfinite(x)) return add_finite(x, high, low);
    high += x;
  }

  /// Adds factor x[i] to the sums high[i] + low[i]. Products are finite.
  template <class Scalar>
  void add_row(double factor, const Scalar* x, Index n, double* high, double* low) const {
    constexpr Index at_once = 8;
    const Index whole = n - n % at_once;
    for (Index i = 0; i < whole; i += at_once) add_some<at_once>(factor, x + i, high + i, low + i);
    for (Index i = whole; i < n; ++i) add_some<1>(factor, x + i, high + i, low + i);
  }

 private:
  void add_finite(double x, double& high, double& low) const {
    const double multiple = (x + high_) - high_;
    high += multiple;
    low += ((x - multiple) + low_) - low_;
  }

  /// Copies, which cannot overlap, are what compilers make vectors of.
  template <Index count, class Scalar>
  void add_some(double factor, const Scalar* x, double* high, double* low) const {
    double terms[count], highs[count], lows[count];
    for (Index i = 0; i < count; ++i) terms[i] = factor * static_cast<double>(x[i]);
    for (Index i = 0; i < count; ++i) highs[i] = high[i];
    for (Index i = 0; i < count; ++i) lows[i] = low[i];
    for (Index i = 0; i < count; ++i) add_finite(terms[i], highs[i], lows[i]);
    for (Index i = 0; i < count; ++i) high[i] = highs[i];
    for (Index i = 0; i < count; ++i) low[i] = lows[i];
  }

  double high_ = 0;
  double low_ = 0;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
