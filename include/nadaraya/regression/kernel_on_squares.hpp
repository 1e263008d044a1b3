// A kernel behind one type: its weights for a list of squared distances.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Called once for each fit, so that fits are compiled once and not once for each kernel. Refers to a kernel, which must
/// outlive it.
class KernelOnSquares {
 public:
  /// No constructor: clang would ask whether this class is itself a kernel.
  template <Kernel K>
  static KernelOnSquares of(const K& kernel) {
    return KernelOnSquares(&kernel, &weigh<K>, K::compact);
  }

  bool compact() const { return compact_; }

  /// w_j = kappa(t_j) and kappa'(t_j), t_j = 1 - squares_j / square, for n squares; for an exponential kernel up to a common
  /// factor, so that not all underflow. Position `left_out` (-1: none) is not looked at.
  void operator()(const double* squares, Index n, double square, Index left_out, double* w, double* slope) const {
    weigh_(kernel_, squares, n, square, left_out, w, slope);
  }

 private:
  template <class K>
  static void weigh(const void* self, const double* squares, Index n, double square, Index left_out, double* w, double* slope) {
    const K kernel = *static_cast<const K*>(self);
    const double middle = centre(kernel), scale = 1 / square;
    double nearest = 0;
    if constexpr (ExponentialKernel<K>) {
      nearest = std::numeric_limits<double>::infinity();
      for (Index j = 0; j < n; ++j) nearest = j == left_out ? nearest : (std::min)(nearest, squares[j] * scale);
      if (n == 1 && left_out == 0) nearest = 0;
    }
    for (Index j = 0; j < n; ++j) {
      const double t = middle - (squares[j] * scale - nearest);
      w[j] = kernel.profile(t);
      if constexpr (!ExponentialKernel<K>) slope[j] = kernel.derivative(t);
    }
    if constexpr (ExponentialKernel<K>) {
      const double ratio = kernel.derivative(middle) / kernel.profile(middle);
      for (Index j = 0; j < n; ++j) slope[j] = ratio * w[j];
    }
  }

  using Weigh = void (*)(const void*, const double*, Index, double, Index, double*, double*);

  KernelOnSquares(const void* kernel, Weigh of_kernel, bool compact) : kernel_(kernel), weigh_(of_kernel), compact_(compact) {}

  const void* kernel_;
  Weigh weigh_;
  bool compact_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
