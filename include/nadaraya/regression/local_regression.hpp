// Local polynomial regression: a bandwidth for each column, chosen by a criterion, with intervals.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/normalization/nearest_neighbors.hpp"
#include "nadaraya/regression/any_kernel.hpp"
#include "nadaraya/regression/bandwidth_search.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/criterion.hpp"
#include "nadaraya/regression/diagnostics.hpp"
#include "nadaraya/regression/kernel_inputs.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/operations.hpp"
#include "nadaraya/regression/prediction.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/regression/rule_of_thumb.hpp"
#include "nadaraya/types.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/regression/operations_definitions.hpp"
#endif

#include <limits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The polynomial that is fitted around each query.
struct LocalModel {
  int degree = 1;  ///< of the polynomial in the continuous columns: 0, the weighted mean, to 3; above 1 in up to three
  double ridge =
      1e-10;  ///< on its coefficients, as in LocalLinear and LocalPolynomial, offsets in units of the bandwidths
  Eigen::VectorXd weights = {};          ///< of the observations [N], positive; empty: 1 each
  std::vector<ColumnKind> columns = {};  ///< of x; empty: all continuous
  /// By which the bandwidths are multiplied for each point [N], as from abramson_factors(); empty: 1 each. Weights are
  /// then divided by factor^D, D continuous columns, so that sums of them are densities.
  Eigen::VectorXd factors = {};
};

/// y(q) = the value at q of the polynomial that is fitted to the points (x_j, y_j) by least squares with the weights
///   w_j = weight_j kappa(u_j),  u_j^2 = sum_d ((x_jd - q_d) / h_d)^2,
/// times lambda_d^distance for each categorical column d; with Product<K>, prod_d kappa(u_jd); or with the distance to
/// the (k + 1)-th nearest point as the bandwidth, columns divided by their standard deviations. (Stone 1977; Cleveland
/// 1979; Fan and Gijbels 1996.) It keeps a copy of the data and computes in double.
///   const auto model = LocalRegression<Biweight>::fit(Biweight{}, x, y, LeaveOneOut{});
///   model.predict(queries).values; model.intervals(queries, model.diagnose()).lower;
/// x [N x Dx], Dx >= 1, and y [N x Dy], finite; N >= 1. Errors: std::invalid_argument, before anything is computed. A
/// row that is not finite is named. Where a fit sees fewer points than coefficients, the ridge chooses the flattest
/// polynomial. Cost: O(M^2) per point of a support for M = 1 + Dx coefficients of degree 1, and a search for the
/// support: O(N) a query, or with a compact kernel that of a spatial index on up to three columns. No result depends on
/// the executor.
template <RegressionKernel K>
class LocalRegression {
 public:
  /// With one bandwidth for each column: h > 0, or 0 <= lambda <= 1 for categorical ones.
  template <RealExpression X, RealExpression Y>
  LocalRegression(K kernel, const Eigen::VectorXd& bandwidths, const X& x, const Y& y, const LocalModel& model = {})
      : kernel_(std::move(kernel)), data_(checked(x, y, model)), scales_(bandwidths) {
    detail::require_bandwidths(data_, bandwidths, "LocalRegression");
    detail::validate_kernel<double>(detail::factor_of(kernel_));
  }

  /// With the k nearest points: 1 <= k <= N - 2, so that there is a (k + 1)-th also where a point is left out. For
  /// compact kernels, continuous columns and no factors.
  template <RealExpression X, RealExpression Y>
  requires CompactKernel<K> LocalRegression(K kernel, NearestNeighbors nearest, const X& x, const Y& y,
                                            const LocalModel& model = {})
      : kernel_(std::move(kernel)), data_(checked(x, y, model)), neighbors_(nearest.neighbors) {
    detail::require_neighbors(data_, neighbors_, "LocalRegression");
    detail::validate_kernel<double>(kernel_);
    scales_ = detail::neighbor_scales(data_.x);
  }

  /// With the bandwidths that minimize a criterion: LeaveOneOut, GeneralizedCrossValidation, CorrectedAic or one of
  /// your own. Deterministic. A kernel whose derivative is zero (Uniform) leaves the search at the best of its grid.
  template <RealExpression X, RealExpression Y, BandwidthCriterion C, class E = Serial>
  static LocalRegression fit(K kernel, const X& x, const Y& y, const C& criterion, const LocalModel& model = {},
                             const BandwidthSearch& search = {}, const E& executor = {}) {
    return LocalRegression(kernel, choose(kernel, x, y, criterion, model, search, executor).bandwidths, x, y, model);
  }

  /// The search of fit() alone.
  template <RealExpression X, RealExpression Y, BandwidthCriterion C, class E = Serial>
  static BandwidthChoice choose(const K& kernel, const X& x, const Y& y, const C& criterion,
                                const LocalModel& model = {}, const BandwidthSearch& search = {},
                                const E& executor = {}) {
    detail::validate_kernel<double>(detail::factor_of(kernel));
    const detail::LocalData data = checked(x, y, model);
    const AnyExecutor any(executor);
    const auto objective = [&](const detail::LocalData& points, const Eigen::VectorXd& bandwidths,
                               Eigen::VectorXd* gradient) {
      return Operations::criterion({detail::AnyKernel::of(kernel), points, bandwidths}, {C::leaves_out, criterion}, any,
                                   gradient);
    };
    const double deviation = detail::kernel_deviation(kernel, detail::ColumnOrder(data.kinds, x.cols()).continuous());
    return Operations::search(data, deviation, objective, search, "LocalRegression::fit");
  }

  /// With the number of neighbors, among those given, that minimizes a criterion; the first of equals.
  template <RealExpression X, RealExpression Y, BandwidthCriterion C, class E = Serial>
  requires CompactKernel<K>
  static LocalRegression fit_neighbors(K kernel, const X& x, const Y& y, const std::vector<Index>& neighbors,
                                       const C& criterion, const LocalModel& model = {}, const E& executor = {}) {
    double best = std::numeric_limits<double>::infinity();
    Index chosen = 0;
    for (const Index k : neighbors) {
      const double value = LocalRegression(kernel, NearestNeighbors{k}, x, y, model).criterion(criterion, executor);
      if (value < best) {
        best = value;
        chosen = k;
      }
    }
    detail::require(chosen > 0, "LocalRegression::fit_neighbors: none of the ", neighbors.size(),
                    " numbers of neighbors has a finite criterion on x ", detail::shape(x));
    return LocalRegression(kernel, NearestNeighbors{chosen}, x, y, model);
  }

  const K& kernel() const { return kernel_; }  ///< The kernel.
  int degree() const { return data_.degree; }  ///< Of the polynomial.
  /// The bandwidths h or lambda, one for each column. With neighbors, the standard deviations.
  const Eigen::VectorXd& scales() const { return scales_; }
  /// 0 with a fixed bandwidth.
  Index neighbors() const { return neighbors_; }
  const RowMatrix<double>& x() const { return data_.x; }  ///< The points [N x Dx].
  const RowMatrix<double>& y() const { return data_.y; }  ///< Their values [N x Dy].

  /// A criterion of this fit.
  template <BandwidthCriterion C, class E = Serial>
  double criterion(const C& criterion, const E& executor = {}) const {
    return Operations::criterion(inputs(), {C::leaves_out, criterion}, AnyExecutor(executor), nullptr);
  }

  /// The gradient of a criterion by log h, or lambda of a categorical column. Throws std::invalid_argument for a fit by
  /// neighbors.
  template <BandwidthCriterion C, class E = Serial>
  Eigen::VectorXd criterion_gradient(const C& criterion, const E& executor = {}) const {
    detail::require(neighbors_ == 0, "LocalRegression::criterion_gradient: a number of neighbors has no gradient");
    Eigen::VectorXd gradient;
    Operations::criterion(inputs(), {C::leaves_out, criterion}, AnyExecutor(executor), &gradient);
    return gradient;
  }

  /// queries [Nq x Dx] -> values [Nq x Dy]; a row of zeros, and listed, where no point has weight.
  template <RealExpression Q, class E = Serial>
  Prediction<double> predict(const Q& queries, const E& executor = {}) const {
    const AnyExecutor any(executor);
    const RowMatrix<double> q = checked(queries, "LocalRegression::predict");
    return Operations::predict(inputs(), q, any);
  }

  /// Residuals, leverages, degrees of freedom, variances, R^2.
  template <class E = Serial>
  RegressionDiagnostics diagnose(const E& executor = {}) const {
    return Operations::diagnose(inputs(), AnyExecutor(executor));
  }

  /// Pointwise confidence intervals of the mean of the fit, 0 < level < 1. The bias of the fit is not in them: it is of
  /// second order in h for degree 0 and 1, of fourth for 2 and 3.
  template <RealExpression Q, class E = Serial>
  IntervalPrediction intervals(const Q& queries, const RegressionDiagnostics& diagnostics, double level = 0.95,
                               const E& executor = {}) const {
    detail::require(level > 0 && level < 1, "LocalRegression::intervals: level must be between 0 and 1, got ", level);
    const RowMatrix<double> q = checked(queries, "LocalRegression::intervals");
    require_noise(diagnostics, "LocalRegression::intervals");
    return Operations::intervals(inputs(), q, diagnostics.noise, level, AnyExecutor(executor));
  }

  /// Confidence intervals that hold at all queries together, with probability `level` for each output: from draws of
  /// the largest error of the fit over the queries, given the variances of the observations (the multiplier bootstrap;
  /// Chernozhukov, Chetverikov and Kato 2013). Wider than intervals(). For a band, let the queries be dense compared
  /// with the bandwidths. O(draws (N + supports of the queries)).
  template <RealExpression Q, class E = Serial>
  IntervalPrediction bands(const Q& queries, const RegressionDiagnostics& diagnostics, double level = 0.95,
                           const BandDraws& draws = {}, const E& executor = {}) const {
    detail::require(level > 0 && level < 1, "LocalRegression::bands: level must be between 0 and 1, got ", level);
    detail::require(draws.count >= 100, "LocalRegression::bands: there must be at least 100 draws, got ", draws.count);
    const RowMatrix<double> q = checked(queries, "LocalRegression::bands");
    require_noise(diagnostics, "LocalRegression::bands");
    return Operations::bands(inputs(), q, diagnostics.noise, level, draws, AnyExecutor(executor));
  }

  /// Derivatives of the fit by each continuous column of x, in their order: the linear coefficients of its polynomials.
  /// Degree >= 1.
  template <RealExpression Q, class E = Serial>
  SlopePrediction slopes(const Q& queries, const RegressionDiagnostics& diagnostics, const E& executor = {}) const {
    detail::require(data_.degree >= 1, "LocalRegression::slopes: a fit of degree 0 has no slopes");
    const RowMatrix<double> q = checked(queries, "LocalRegression::slopes");
    require_noise(diagnostics, "LocalRegression::slopes");
    return Operations::slopes(inputs(), q, diagnostics.noise, AnyExecutor(executor));
  }

 private:
  using Operations = detail::LocalOperations<double>;

  template <class X, class Y>
  static detail::LocalData checked(const X& x, const Y& y, const LocalModel& model) {
    detail::LocalData data{x.template cast<double>(),
                           y.template cast<double>(),
                           model.weights,
                           model.degree,
                           model.ridge,
                           model.columns,
                           model.factors};
    detail::require_local_data(data, "LocalRegression");
    return data;
  }

  detail::KernelInputs inputs() const { return {detail::AnyKernel::of(kernel_), data_, scales_, neighbors_}; }

  template <class Q>
  RowMatrix<double> checked(const Q& queries, const char* function) const {
    detail::require(queries.cols() == data_.x.cols(), function, ": queries must have the columns of x ",
                    detail::shape(data_.x), ", got ", detail::shape(queries));
    const RowMatrix<double> q = queries.template cast<double>();
    detail::require_finite_rows(q, function, "queries");
    return q;
  }

  void require_noise(const RegressionDiagnostics& diagnostics, const char* function) const {
    detail::require(diagnostics.noise.rows() == data_.y.rows() && diagnostics.noise.cols() == data_.y.cols(), function,
                    ": diagnostics must be those of this regression on y ", detail::shape(data_.y), ", got ",
                    detail::shape(diagnostics.noise));
  }

  K kernel_;
  detail::LocalData data_;
  Eigen::VectorXd scales_;
  Index neighbors_ = 0;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
