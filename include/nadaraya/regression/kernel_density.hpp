// Kernel density estimates: normalized in any dimension, with categorical columns, their bandwidths chosen from the
// data.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/any_kernel.hpp"
#include "nadaraya/regression/bandwidth_search.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/density_model.hpp"
#include "nadaraya/regression/kernel_inputs.hpp"
#include "nadaraya/regression/kernel_integral.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/operations.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/regression/rule_of_thumb.hpp"
#include "nadaraya/regression/self_convolution.hpp"
#include "nadaraya/types.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/regression/operations_definitions.hpp"
#endif

#include <cmath>
#include <concepts>
#include <limits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// LikelihoodCrossValidation or LeastSquaresCrossValidation.
template <class C>
concept DensityCriterion = std::same_as<C, LikelihoodCrossValidation> || std::same_as<C, LeastSquaresCrossValidation>;

/// f(q) = sum_j weight_j K_j(q) / sum_j weight_j,
///   K_j(q) = kappa(u_j) / (factor_j^D int kappa prod_d h_d) prod_c lambda_c^distance / sum over the levels of c,
/// so that f integrates over the D continuous columns, and sums over the levels in the data of the others, to 1
/// (Rosenblatt 1956; Parzen 1962; Aitchison and Aitken 1976; Li and Racine 2003). It keeps a copy of the data and
/// computes in double.
///   const auto density = KernelDensity<Biweight>::fit(Biweight{}, x, LikelihoodCrossValidation{});
///   density.log_density(queries)
/// x [N x Dx], finite. Errors: std::invalid_argument, before anything is computed. No result depends on the executor.
template <RegressionKernel K>
class KernelDensity {
 public:
  /// With one bandwidth for each column: h > 0, or 0 <= lambda <= 1 for categorical ones.
  template <RealExpression X>
  KernelDensity(K kernel, const Eigen::VectorXd& bandwidths, const X& x, const DensityModel& model = {})
      : kernel_(std::move(kernel)), data_(checked(x, model)), bandwidths_(bandwidths) {
    detail::require_bandwidths(data_, bandwidths, "KernelDensity");
    detail::validate_kernel<double>(detail::factor_of(kernel_));
  }

  /// With the bandwidths that minimize a criterion. N >= 2. Deterministic.
  template <RealExpression X, DensityCriterion C, class E = Serial>
  static KernelDensity fit(K kernel, const X& x, const C& criterion, const DensityModel& model = {},
                           const BandwidthSearch& search = {}, const E& executor = {}) {
    return KernelDensity(kernel, choose(kernel, x, criterion, model, search, executor).bandwidths, x, model);
  }

  /// The search of fit() alone.
  template <RealExpression X, DensityCriterion C, class E = Serial>
  static BandwidthChoice choose(const K& kernel, const X& x, const C& criterion, const DensityModel& model = {},
                                const BandwidthSearch& search = {}, const E& executor = {}) {
    detail::validate_kernel<double>(detail::factor_of(kernel));
    const detail::LocalData data = checked(x, model);
    require_criterion<C>(data);
    const AnyExecutor any(executor);
    const Prepared prepared = prepare(kernel, data, criterion);
    const auto objective = [&](const detail::LocalData& points, const Eigen::VectorXd& bandwidths,
                               Eigen::VectorXd* gradient) {
      return value_at(kernel, prepared, criterion, points, bandwidths, any, gradient);
    };
    const double deviation = detail::kernel_deviation(kernel, detail::ColumnOrder(data.kinds, x.cols()).continuous());
    return Operations::search(data, deviation, objective, search, "KernelDensity::fit");
  }

  const K& kernel() const { return kernel_; }                        ///< The kernel.
  const Eigen::VectorXd& bandwidths() const { return bandwidths_; }  ///< h or lambda, one for each column.
  const RowMatrix<double>& x() const { return data_.x; }             ///< The points [N x Dx].

  /// log f at queries [Nq x Dx]; -infinity where no point has weight.
  template <RealExpression Q, class E = Serial>
  Eigen::VectorXd log_density(const Q& queries, const E& executor = {}) const {
    detail::require(queries.cols() == data_.x.cols(), "KernelDensity: queries must have the columns of x ",
                    detail::shape(data_.x), ", got ", detail::shape(queries));
    const RowMatrix<double> q = queries.template cast<double>();
    detail::require_finite_rows(q, "KernelDensity", "queries");
    const detail::ColumnOrder order(data_.kinds, data_.x.cols());
    return Operations::log_density({detail::AnyKernel::of(kernel_), data_, bandwidths_}, integral(kernel_, order), q,
                                   AnyExecutor(executor));
  }

  /// f at queries.
  template <RealExpression Q, class E = Serial>
  Eigen::VectorXd density(const Q& queries, const E& executor = {}) const {
    return log_density(queries, executor).array().exp();
  }

  /// A criterion of this density. N >= 2.
  template <DensityCriterion C, class E = Serial>
  double criterion(const C& criterion, const E& executor = {}) const {
    require_criterion<C>(data_);
    return value_at(kernel_, prepare(kernel_, data_, criterion), criterion, data_, bandwidths_, AnyExecutor(executor),
                    nullptr);
  }

  /// Its gradient by log h, or lambda of a categorical column.
  template <DensityCriterion C, class E = Serial>
  Eigen::VectorXd criterion_gradient(const C& criterion, const E& executor = {}) const {
    require_criterion<C>(data_);
    Eigen::VectorXd gradient;
    value_at(kernel_, prepare(kernel_, data_, criterion), criterion, data_, bandwidths_, AnyExecutor(executor),
             &gradient);
    return gradient;
  }

 private:
  using Operations = detail::LocalOperations<double>;

  /// What a criterion needs of a kernel at all bandwidths.
  struct Prepared {
    double integral;
    detail::SelfConvolution convolution;
  };

  static double integral(const K& kernel, const detail::ColumnOrder& order) {
    return order.continuous() > 0 ? kernel_integral(kernel, order.continuous()) : 1.0;
  }

  template <class C>
  static Prepared prepare(const K& kernel, const detail::LocalData& data, const C&) {
    const detail::ColumnOrder order(data.kinds, data.x.cols());
    Prepared prepared{integral(kernel, order), {}};
    if constexpr (std::same_as<C, LeastSquaresCrossValidation>) {
      if (order.continuous() > 0) prepared.convolution = detail::SelfConvolution::of(kernel, order.continuous());
    }
    return prepared;
  }

  template <class C>
  static double value_at(const K& kernel, const Prepared& prepared, const C&, const detail::LocalData& data,
                         const Eigen::VectorXd& bandwidths, const AnyExecutor& executor, Eigen::VectorXd* gradient) {
    const bool least_squares = std::same_as<C, LeastSquaresCrossValidation>;
    return Operations::density_criterion({detail::AnyKernel::of(kernel), data, bandwidths}, prepared.integral,
                                         least_squares ? &prepared.convolution : nullptr, executor, gradient);
  }

  template <class C>
  static void require_criterion(const detail::LocalData& data) {
    detail::require(data.x.rows() >= 2, "KernelDensity: a criterion needs at least 2 rows of x ",
                    detail::shape(data.x));
    detail::require((std::same_as<C, LikelihoodCrossValidation>) || data.factors.size() == 0,
                    "KernelDensity: least-squares cross-validation takes no factors of the points");
  }

  template <class X>
  static detail::LocalData checked(const X& x, const DensityModel& model) {
    detail::LocalData data{
        x.template cast<double>(), RowMatrix<double>(x.rows(), 0), model.weights, 0, 1.0, model.columns, model.factors};
    detail::require_local_data(data, "KernelDensity");
    return data;
  }

  K kernel_;
  detail::LocalData data_;
  Eigen::VectorXd bandwidths_;
};

/// Factors (g / f_i)^(1/2) of the bandwidths of the points, f_i the density at point i with the given bandwidths for
/// all, itself among the points, and g the geometric mean of the f_i: narrower where there are many (Abramson 1982;
/// Silverman 1986, section 5.3). For LocalModel and DensityModel. x [N x Dx], bandwidths [Dx].
template <RegressionKernel K, RealExpression X, class E = Serial>
Eigen::VectorXd abramson_factors(const K& kernel, const Eigen::VectorXd& bandwidths, const X& x,
                                 const std::vector<ColumnKind>& columns = {}, const E& executor = {}) {
  const KernelDensity<K> pilot(kernel, bandwidths, x, {.columns = columns});
  const Eigen::VectorXd log_density = pilot.log_density(pilot.x(), executor);
  return ((log_density.mean() - log_density.array()) / 2).exp();
}

/// h_d = sigma_d (4 / ((D + 2) N))^(1 / (D + 4)) / s: right for normal data (Silverman 1986, section 4.3.2); sigma_d is
/// the standard deviation of column d and s that of the kernel. x [N x D], N >= 2. Throws std::invalid_argument if a
/// column is constant.
template <RegressionKernel K, RealExpression X>
Eigen::VectorXd silverman_bandwidths(const K& kernel, const X& x) {
  const auto d = static_cast<double>(x.cols());
  return rule_of_thumb_bandwidths(kernel, x, 0) * (std::pow(4 / (d + 2), 1 / (d + 4)) / 1.06);
}

/// h_d = sigma_d N^(-1 / (D + 4)) / s (Scott 1992, section 6.3), likewise.
template <RegressionKernel K, RealExpression X>
Eigen::VectorXd scott_bandwidths(const K& kernel, const X& x) {
  return rule_of_thumb_bandwidths(kernel, x, 0) / 1.06;
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
