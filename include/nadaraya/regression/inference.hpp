// The errors of a regression, on its own data and at queries.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/diagnostics.hpp"
#include "nadaraya/regression/local_fit.hpp"
#include "nadaraya/regression/prediction.hpp"
#include "nadaraya/regression/smoother_error.hpp"
#include "nadaraya/regression/student.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// visit(i, fit) for each row i of q [N x D], in units of the scales, that has a point within the bandwidth. Returns
/// the other rows.
template <class Visit>
std::vector<Index> for_fits(const LocalDesign& design, const RowMatrix<double>& q, const AnyExecutor& executor,
                            const Visit& visit) {
  std::vector<char> empty(static_cast<std::size_t>(q.rows()), 0);
  for_row_chunks(q.rows(), cost_of_fit(design), executor, [&](Index first, Index last, Index) {
    LocalFit fit(design);
    Eigen::VectorXd query(q.cols());
    for (Index i = first; i < last; ++i) {
      query = q.row(i).transpose();
      if (fit.fit(query, -1)) {
        visit(i, fit);
      } else {
        empty[static_cast<std::size_t>(i)] = 1;
      }
    }
  });
  return marked_rows(empty);
}

/// q [N x D]: the points, in units of the scales.
inline RegressionDiagnostics diagnose(const LocalDesign& design, const RowMatrix<double>& q,
                                      const AnyExecutor& executor) {
  const Index n = q.rows(), outputs = design.y.cols();
  RegressionDiagnostics result;
  result.fitted = RowMatrix<double>::Zero(n, outputs);
  result.leverage = Eigen::VectorXd::Zero(n);
  Eigen::VectorXd squares = Eigen::VectorXd::Zero(n);  // sum_j S_ij^2
  for_fits(design, q, executor, [&](Index i, const LocalFit& fit) {
    result.fitted.row(i) = fit.predicted().transpose();
    const Index self = fit.position(i);
    if (self >= 0) result.leverage(i) = fit.corrected()(self);
    squares(i) = fit.corrected().squaredNorm();
  });
  result.residuals = design.y - result.fitted;
  result.degrees_of_freedom = result.leverage.sum();
  result.residual_degrees_of_freedom = static_cast<double>(n) - 2 * result.degrees_of_freedom + squares.sum();
  const double rounding = 1e-8;
  const bool left = result.residual_degrees_of_freedom > rounding * static_cast<double>(n);
  result.variance =
      left ? Eigen::VectorXd(result.residuals.colwise().squaredNorm().transpose() / result.residual_degrees_of_freedom)
           : Eigen::VectorXd::Constant(outputs, std::numeric_limits<double>::infinity());
  result.noise.resize(n, outputs);
  for (Index i = 0; i < n; ++i) {
    const double share = 1 - 2 * result.leverage(i) + squares(i);
    if (share > rounding) {
      result.noise.row(i) = result.residuals.row(i).cwiseAbs2() / share;
    } else {
      result.noise.row(i) = result.variance.transpose();
    }
  }
  const Eigen::VectorXd w = design.weights.size() > 0 ? design.weights : Eigen::VectorXd::Ones(n);
  const Eigen::RowVectorXd mean = w.transpose() * design.y / w.sum();
  const Eigen::RowVectorXd total = w.transpose() * (design.y.rowwise() - mean).cwiseAbs2();
  const Eigen::RowVectorXd rest = w.transpose() * result.residuals.cwiseAbs2();
  result.r_squared = (1 - rest.array() / total.array()).matrix().transpose();
  return result;
}

/// Sums `weights` of the support over values and over variances, into row i.
inline void sum_with_errors(const LocalFit& fit, const Eigen::Ref<const Eigen::VectorXd>& weights, const RowMatrix<double>& noise,
                            Index i, RowMatrix<double>& values, RowMatrix<double>& errors) {
  values.row(i) = fit.sum_of_values(weights.data()).transpose();
  for (Index o = 0; o < values.cols(); ++o) {
    double variance = 0;
    for (Index j = 0; j < weights.size(); ++j) {
      if (weights(j) != 0) variance += weights(j) * weights(j) * noise(fit.point(j), o);
    }
    errors(i, o) = std::sqrt(variance);
  }
}

inline Prediction<double> predict_values(const LocalDesign& design, const RowMatrix<double>& q,
                                         const AnyExecutor& executor) {
  Prediction<double> result;
  result.values = RowMatrix<double>::Zero(q.rows(), design.y.cols());
  std::vector<Index> support(static_cast<std::size_t>(q.rows()), 0);
  for_fits(design, q, executor, [&](Index i, const LocalFit& fit) {
    result.values.row(i) = fit.predicted().transpose();
    support[static_cast<std::size_t>(i)] = fit.support();
  });
  for (std::size_t i = 0; i < support.size(); ++i) {
    if (support[i] == 0) result.empty_rows.push_back(static_cast<Index>(i));
    result.mean_support += static_cast<double>(support[i]);
  }
  if (!support.empty()) result.mean_support /= static_cast<double>(support.size());
  return result;
}

/// Intervals from Student's t with (sum c^2)^2 / sum c^4 degrees of freedom (Satterthwaite 1946): the number of
/// observations whose variances the error of the fit is estimated from.
inline IntervalPrediction predict_intervals(const LocalDesign& design, const RowMatrix<double>& q,
                                            const RowMatrix<double>& noise, double level, const AnyExecutor& executor) {
  const Index n = q.rows(), outputs = design.y.cols();
  IntervalPrediction result;
  result.values = RowMatrix<double>::Zero(n, outputs);
  result.standard_errors = RowMatrix<double>::Constant(n, outputs, std::numeric_limits<double>::infinity());
  Eigen::VectorXd quantile = Eigen::VectorXd::Ones(n);
  const double normal = normal_quantile(level);
  result.empty_rows = for_fits(design, q, executor, [&](Index i, const LocalFit& fit) {
    sum_with_errors(fit, fit.corrected(), noise, i, result.values, result.standard_errors);
    const double squares = fit.corrected().squaredNorm();
    quantile(i) = student_quantile(level, squares * squares / fit.corrected().cwiseAbs2().squaredNorm(), normal);
  });
  const RowMatrix<double> half = quantile.asDiagonal() * result.standard_errors;
  result.lower = result.values - half;
  result.upper = result.values + half;
  return result;
}

/// The coefficients of degree one, in the units of x.
inline SlopePrediction predict_slopes(const LocalDesign& design, const RowMatrix<double>& q,
                                      const Eigen::VectorXd& scales, const RowMatrix<double>& noise,
                                      const AnyExecutor& executor) {
  const Index n = q.rows(), outputs = design.y.cols();
  SlopePrediction result;
  const Index columns = design.points.dimension();
  result.values.assign(static_cast<std::size_t>(columns), RowMatrix<double>::Zero(n, outputs));
  result.standard_errors.assign(static_cast<std::size_t>(columns),
                                RowMatrix<double>::Constant(n, outputs, std::numeric_limits<double>::infinity()));
  result.empty_rows = for_fits(design, q, executor, [&](Index i, LocalFit& fit) {
    Eigen::VectorXd weights;
    for (Index d = 0; d < columns; ++d) {
      const auto column = static_cast<std::size_t>(d);
      fit.slope_weights(d, weights);
      weights /= scales(d);
      sum_with_errors(fit, weights, noise, i, result.values[column], result.standard_errors[column]);
    }
  });
  return result;
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
