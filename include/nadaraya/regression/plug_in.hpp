// The direct plug-in bandwidth of a local line in one column.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/regression/kernel_integral.hpp"
#include "nadaraya/regression/operations.hpp"
#include "nadaraya/regression/quadrature.hpp"
#include "nadaraya/regression/rule_of_thumb.hpp"
#include "nadaraya/types.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/regression/operations_definitions.hpp"
#endif

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The bandwidth of a local line in one column that minimizes an estimate of its mean squared error, without a search
/// (the direct plug-in rule of Ruppert, Sheather and Wand 1995, section 3):
///   h = (R sigma^2 (b - a) / (s^4 N theta))^(1/5),
/// theta the mean squared second derivative by a local cubic, sigma^2 the variance of the noise by a local line, each
/// with a bandwidth from blocked quartics; R = int K^2 and s the deviation of the kernel K as a density. As
/// KernSmooth's dpill, on 401 bins, for a Gaussian. x [N x 1], y [N x 1], N >= 10. O(N log N). Throws
/// std::invalid_argument where the data have no noise or no curvature.
template <Kernel K, RealExpression X, RealExpression Y>
double plug_in_bandwidth(const K& kernel, const X& x, const Y& y) {
  detail::validate_kernel<double>(kernel);
  const double ratio =
      detail::LocalOperations<double>::plug_in_ratio(x.template cast<double>(), y.template cast<double>());
  const auto square = [&](double r) {
    const double value = kernel.profile(centre(kernel) - r * r);
    return value * value;
  };
  const double integral = kernel_integral(kernel, 1);
  const double roughness =
      2 * (K::compact ? detail::integrate(square, 0, 1) : detail::integrate(square, 0, 12, 64)) / (integral * integral);
  return std::pow(roughness * ratio / std::pow(detail::kernel_deviation(kernel, 1), 4), 0.2);
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
