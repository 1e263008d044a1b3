// By what a bandwidth is chosen: estimates of the prediction error.
#pragma once

#include "nadaraya/types.hpp"

#include <cmath>
#include <concepts>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// What a smoother leaves on its own data.
struct SmootherError {
  double mean_square = 0;  ///< of the residuals: sum over outputs, weighted mean over points
  double trace = 0;        ///< of the hat matrix: effective degrees of freedom
  double points = 0;       ///< N
};

/// A criterion and its derivatives.
struct CriterionValue {
  double value = 0;           ///< the criterion
  double by_mean_square = 0;  ///< its derivative by the mean square of the residuals
  double by_trace = 0;        ///< its derivative by the trace of the hat matrix
};

/// A criterion to minimize. A model has
///   static constexpr bool leaves_out;      // are the residuals those of fits without the point itself?
///   CriterionValue operator()(const SmootherError&) const;
/// Law: the derivatives are those of the value. +infinity where the fit has no degrees of freedom left.
template <class C>
concept BandwidthCriterion = std::copyable<C> && requires(const C criterion, const SmootherError& error) {
  { C::leaves_out } -> std::convertible_to<bool>;
  { criterion(error) } -> std::same_as<CriterionValue>;
};

/// The mean of |y_i - f_i(x_i)|^2, f_i fitted without point i (Stone 1974; Clark 1975).
struct LeaveOneOut {
  static constexpr bool leaves_out = true;  ///< Residuals are those without the point itself.

  /// The criterion and its derivatives.
  CriterionValue operator()(const SmootherError& error) const { return {error.mean_square, 1, 0}; }
};

/// Generalized cross-validation, mean square / (1 - trace / N)^2 (Craven and Wahba 1979).
struct GeneralizedCrossValidation {
  static constexpr bool leaves_out = false;  ///< Residuals are those of the fit to all points.

  /// The criterion and its derivatives.
  CriterionValue operator()(const SmootherError& error) const {
    const double left = 1 - error.trace / error.points;
    if (!(left > 0)) return {std::numeric_limits<double>::infinity(), 0, 0};
    return {error.mean_square / (left * left), 1 / (left * left),
            2 * error.mean_square / (left * left * left * error.points)};
  }
};

/// log(mean square) + 1 + 2 (trace + 1) / (N - trace - 2) (Hurvich, Simonoff and Tsai 1998).
struct CorrectedAic {
  static constexpr bool leaves_out = false;  ///< Residuals are those of the fit to all points.

  /// The criterion and its derivatives.
  CriterionValue operator()(const SmootherError& error) const {
    const double left = error.points - error.trace - 2;
    if (!(left > 0)) return {std::numeric_limits<double>::infinity(), 0, 0};
    return {std::log(error.mean_square) + 1 + 2 * (error.trace + 1) / left, 1 / error.mean_square,
            2 * (error.points - 1) / (left * left)};
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
