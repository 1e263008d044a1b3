// A kernel behind one type: its weights for a list of points.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/types.hpp"

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
/// must outlive it. An exponential kernel is known by its rate alone and is not called.
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
    } else if constexpr (separate) {
      any.weigh_ = &weigh_product<K>;
    } else {
      any.weigh_ = &weigh_radial<K>;
    }
    return any;
  }

  bool compact() const { return compact_; }
  /// Does each column have a factor of its own?
  bool separate() const { return separate_; }
  /// How many derivatives each weight has. Those of an exponential kernel are its weights times the rate.
  Index slopes(Index dimension) const { return rate_ > 0 ? 0 : separate_ ? dimension : 1; }
  /// kappa(u) = c exp(-rate |u|^2) of an exponential kernel, 0 of others.
  double rate() const { return rate_; }
  /// Weights are zero at |u|^2 of at least so much; infinite unless the kernel is compact.
  double reach(Index dimension) const {
    if (!compact_) return std::numeric_limits<double>::infinity();
    return separate_ ? static_cast<double>(dimension) : 1.0;
  }

  /// w_j = kappa(t_j) and kappa'(t_j), t_j = 1 - squares_j / square; of a product, for each column d, t_jd = 1 -
  /// offset_jd^2 / square and kappa'(t_jd) times the other factors. Points are those in the support. Not for an
  /// exponential kernel.
  void operator()(const PointDistances& at, double* w, Eigen::MatrixXd& slopes) const {
    weigh_(kernel_, at, w, slopes);
  }

 private:
  template <class K>
  static void weigh_radial(const void* self, const PointDistances& at, double* w, Eigen::MatrixXd& slopes) {
    const auto kernel = factor_of(*static_cast<const K*>(self));
    const double middle = centre(kernel), scale = 1 / at.square;
    const double* squares = at.squares.data();
    double* slope = slopes.data();
    for (Index j = 0; j < at.count; ++j) {
      const double t = middle - squares[j] * scale;
      w[j] = kernel.profile(t);
      slope[j] = kernel.derivative(t);
    }
  }

  template <class K>
  static void weigh_product(const void* self, const PointDistances& at, double* w, Eigen::MatrixXd& slopes) {
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
  }

  using Weigh = void (*)(const void*, const PointDistances&, double*, Eigen::MatrixXd&);

  AnyKernel() = default;

  const void* kernel_ = nullptr;
  Weigh weigh_ = nullptr;
  double rate_ = 0;
  bool compact_ = false;
  bool separate_ = false;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
