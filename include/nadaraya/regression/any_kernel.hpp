// A kernel behind one type: its weights for a list of points.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Where points lie, seen from a query.
struct PointDistances {
  const Eigen::MatrixXd& offsets;  ///< point minus query, in the first `count` rows
  const Eigen::VectorXd& squares;  ///< of the distances
  Index count;
  double square;  ///< of the bandwidth
};

/// Called once for each fit, so that fits are compiled once and not once for each kernel. Refers to a kernel, which
/// must outlive it.
class AnyKernel {
 public:
  /// No constructor: clang would ask whether this class is itself a kernel.
  template <RegressionKernel K>
  static AnyKernel of(const K& kernel) {
    AnyKernel any;
    any.kernel_ = &kernel;
    any.compact_ = K::compact;
    using Factor = std::remove_cvref_t<decltype(factor_of(kernel))>;
    // A product of exponentials is one of the sum of squares.
    constexpr bool separate = is_product<K> && !ExponentialKernel<Factor>;
    any.separate_ = separate;
    if constexpr (ExponentialKernel<Factor>) {
      const double middle = centre(factor_of(kernel));
      any.rate_ = factor_of(kernel).derivative(middle) / factor_of(kernel).profile(middle);
    }
    if constexpr (separate) {
      any.weigh_ = &weigh_product<K>;
    } else {
      any.weigh_ = &weigh_radial<K>;
    }
    return any;
  }

  bool compact() const { return compact_; }
  /// Does each column have a factor of its own?
  bool separate() const { return separate_; }
  /// How many derivatives each weight has.
  Index slopes(Index dimension) const { return separate_ ? dimension : 1; }
  /// kappa ~ exp(-rate |u|^2) of an exponential kernel, 0 of others.
  double rate() const { return rate_; }
  /// Weights are zero at |u|^2 of at least so much; infinite unless the kernel is compact.
  double reach(Index dimension) const {
    if (!compact_) return std::numeric_limits<double>::infinity();
    return separate_ ? static_cast<double>(dimension) : 1.0;
  }

  /// w_j = kappa(t_j) and kappa'(t_j), t_j = 1 - squares_j / square; of a product, for each column d, t_jd = 1 -
  /// offset_jd^2 / square and kappa'(t_jd) times the other factors. Points are those in the support. For an exponential
  /// kernel up to a common factor, so that not all underflow: its logarithm is returned. Position `left_out` (-1: none)
  /// is not looked at.
  double operator()(const PointDistances& at, Index left_out, double* w, Eigen::MatrixXd& slopes) const {
    return weigh_(kernel_, at, left_out, w, slopes);
  }

 private:
  template <class K>
  static double weigh_radial(const void* self, const PointDistances& at, Index left_out, double* w,
                             Eigen::MatrixXd& slopes) {
    const auto kernel = factor_of(*static_cast<const K*>(self));
    using Factor = std::remove_const_t<decltype(kernel)>;
    const double middle = centre(kernel), scale = 1 / at.square;
    const Index n = at.count;
    const double* squares = at.squares.data();
    double* slope = slopes.data();
    double nearest = 0;
    if constexpr (ExponentialKernel<Factor>) {
      nearest = std::numeric_limits<double>::infinity();
      for (Index j = 0; j < n; ++j) nearest = j == left_out ? nearest : (std::min)(nearest, squares[j] * scale);
      if (n == 1 && left_out == 0) nearest = 0;
    }
    for (Index j = 0; j < n; ++j) {
      const double t = middle - (squares[j] * scale - nearest);
      w[j] = kernel.profile(t);
      if constexpr (!ExponentialKernel<Factor>) slope[j] = kernel.derivative(t);
    }
    if constexpr (ExponentialKernel<Factor>) {
      const double ratio = kernel.derivative(middle) / kernel.profile(middle);
      for (Index j = 0; j < n; ++j) slope[j] = ratio * w[j];
      return -ratio * nearest;
    }
    return 0;
  }

  template <class K>
  static double weigh_product(const void* self, const PointDistances& at, Index, double* w, Eigen::MatrixXd& slopes) {
    const auto kernel = static_cast<const K*>(self)->kernel;
    const double middle = centre(kernel), scale = 1 / at.square;
    const Index dimension = at.offsets.cols();
    for (Index j = 0; j < at.count; ++j) {
      w[j] = 1;
      for (Index d = 0; d < dimension; ++d) slopes(j, d) = 1;
      for (Index d = 0; d < dimension; ++d) {
        const double t = middle - at.offsets(j, d) * at.offsets(j, d) * scale, factor = kernel.profile(t);
        for (Index e = 0; e < dimension; ++e) slopes(j, e) *= e == d ? kernel.derivative(t) : factor;
        w[j] *= factor;
      }
    }
    return 0;
  }

  using Weigh = double (*)(const void*, const PointDistances&, Index, double*, Eigen::MatrixXd&);

  AnyKernel() = default;

  const void* kernel_ = nullptr;
  Weigh weigh_ = nullptr;
  double rate_ = 0;
  bool compact_ = false;
  bool separate_ = false;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
