// What a regression says about its own errors.
#pragma once

#include "nadaraya/types.hpp"

#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A regression on its own data: y^ = S y with the hat matrix S.
struct RegressionDiagnostics {
  RowMatrix<double> fitted;     ///< [N x Dy]
  RowMatrix<double> residuals;  ///< y - fitted
  Eigen::VectorXd leverage;     ///< [N], the diagonal of S
  /// Estimates of the variance of each observation, r_i^2 / (1 - 2 S_ii + sum_j S_ij^2): unbiased where variances are
  /// equal and the fit has no bias. A point that its own fit interpolates has `variance` instead.
  RowMatrix<double> noise;
  double degrees_of_freedom = 0;           ///< trace S
  double residual_degrees_of_freedom = 0;  ///< N - 2 trace S + trace S S^T
  Eigen::VectorXd variance;   ///< [Dy], sum r^2 over the residual degrees of freedom; +infinity if there are none
  Eigen::VectorXd r_squared;  ///< [Dy], 1 - sum r^2 / sum (y - mean)^2, weighted as the observations are
};

/// Values at queries with their uncertainty. Where no point is within the bandwidth, the value is 0, the interval
/// unbounded.
struct IntervalPrediction {
  RowMatrix<double> values;           ///< [Nq x Dy]
  RowMatrix<double> standard_errors;  ///< of the mean of the fit, robust against unequal variances
  RowMatrix<double> lower;            ///< end of the interval of each value
  RowMatrix<double> upper;            ///< likewise
  std::vector<Index> empty_rows;      ///< queries without a point in the bandwidth, ascending
};

/// Derivatives of the fit at queries by the continuous columns of x.
struct SlopePrediction {
  std::vector<RowMatrix<double>> values;           ///< by each continuous column of x: [Nq x Dy]
  std::vector<RowMatrix<double>> standard_errors;  ///< likewise
  std::vector<Index> empty_rows;  ///< queries without a point in the bandwidth, ascending
};

/// The random errors by which a band is made as wide as it must be. Each is a function of seed, draw and point.
struct BandDraws {
  int count = 2000;        ///< of the level's quantile: it is right to about 0.01 / level at 2,000
  std::uint64_t seed = 1;  ///< of the errors
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
