// Bandwidths by a formula: where a search begins.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/types.hpp"

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// The standard deviation along one axis of kappa(|u|) as a density in D dimensions:
///   s^2 = int kappa(r) r^(D+1) dr / (D int kappa(r) r^(D-1) dr);
/// of a product, that of its factors. D >= 1.
template <RegressionKernel K>
double kernel_deviation(const K& product_or_radial, Index dimension) {
  const auto& kernel = factor_of(product_or_radial);
  if (is_product<K>) dimension = 1;
  const double end = K::compact ? 1.0 : 12.0;
  constexpr int steps = 4000;
  double mass = 0, second = 0;
  for (int i = 0; i < steps; ++i) {
    const double r = end * (i + 0.5) / steps;
    const double weight =
        kernel.profile(centre(kernel) - r * r) * std::pow(r / end, static_cast<double>(dimension - 1));
    mass += weight;
    second += weight * r * r;
  }
  return std::sqrt(second / (mass * static_cast<double>(dimension)));
}

/// How the best bandwidth shrinks with the number of points: N^-rate. The bias of a fit of degree 0 or 1 is of second
/// order in h, that of degree 2 or 3 of fourth.
inline double bandwidth_rate(int degree, Index dimension) {
  return 1.0 / static_cast<double>((degree <= 1 ? 4 : 8) + dimension);
}

/// Standard deviations of the columns of x [N x D].
inline Eigen::VectorXd column_deviations(const RowMatrix<double>& x) {
  const Eigen::RowVectorXd mean = x.colwise().mean();
  return ((x.rowwise() - mean).colwise().squaredNorm().transpose() / static_cast<double>(x.rows())).cwiseSqrt();
}

/// In units of these, neighbors are near: standard deviations, 1 for a constant column.
inline Eigen::VectorXd neighbor_scales(const RowMatrix<double>& x) {
  Eigen::VectorXd scales = column_deviations(x);
  for (double& scale : scales) scale = scale > 0 ? scale : 1.0;
  return scales;
}

/// Where a search for lambda begins.
inline constexpr double first_lambda = 0.5;

/// `deviation`: that of the kernel. Categorical columns have first_lambda.
inline Eigen::VectorXd rule_of_thumb(double deviation, const RowMatrix<double>& x, const ColumnOrder& order,
                                     int degree) {
  require(x.rows() >= 2 && x.cols() >= 1, "rule_of_thumb_bandwidths: x must have at least 2 rows and a column, got ",
          shape(x));
  const Eigen::VectorXd deviations = column_deviations(x);
  const double factor = 1.06 * std::pow(static_cast<double>(x.rows()), -bandwidth_rate(degree, order.continuous()));
  Eigen::VectorXd rule = Eigen::VectorXd::Constant(x.cols(), first_lambda);
  for (Index d = 0; d < order.continuous(); ++d) {
    const Index column = order.column(d);
    require(deviations(column) > 0, "rule_of_thumb_bandwidths: column ", column, " of x ", shape(x), " is constant");
    rule(column) = deviations(column) * (factor / deviation);
  }
  return rule;
}

}  // namespace detail

/// h_d = 1.06 sigma_d N^(-1/(4 + D)) / s for a fit of degree 0 or 1, N^(-1/(8 + D)) above; sigma_d is the standard
/// deviation of column d and s that of the kernel, so that all kernels smooth alike (Silverman 1986; Scott 1992). x [N
/// x D], N >= 2. Throws std::invalid_argument if a column is constant.
template <RegressionKernel K, RealExpression X>
Eigen::VectorXd rule_of_thumb_bandwidths(const K& kernel, const X& x, int degree) {
  return detail::rule_of_thumb(detail::kernel_deviation(kernel, x.cols()), x.template cast<double>(),
                               detail::ColumnOrder({}, x.cols()), degree);
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
