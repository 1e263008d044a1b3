// What a kernel integrates to in D dimensions.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/regression/quadrature.hpp"
#include "nadaraya/types.hpp"

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// int kappa(|u|) du over R^D, the volume under a kernel of bandwidth 1; of a product, that of the factors to the power
/// D. By quadrature, to about 13 digits; a kernel that is not compact must be negligible beyond u = 12. D >= 1. Divided
/// by it and by prod h_d, a kernel is a density.
template <RegressionKernel K>
double kernel_integral(const K& kernel, Index dimension) {
  const auto& factor = detail::factor_of(kernel);
  const auto d = static_cast<double>(detail::is_product<K> ? Index(1) : dimension);
  const auto shell = [&](double r) { return factor.profile(centre(factor) - r * r) * std::pow(r, d - 1); };
  double integral = detail::sphere_surface(d);
  if constexpr (K::compact) {
    integral *= detail::integrate(shell, 0, 1);
  } else {
    integral *= detail::integrate(shell, 0, 12, 64);
  }
  return detail::is_product<K> ? std::pow(integral, static_cast<double>(dimension)) : integral;
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
