// How bandwidths are searched for, and the result.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/regression/criterion.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/types.hpp"

#include <functional>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// How bandwidths are searched for.
struct BandwidthSearch {
  int starts = 3;           ///< searches, each from another start
  Index sample = 2000;      ///< points that the starts are searched on, at most; chosen at random by a fixed seed
  /// Points that a search ends on. Of twice as many or more, two to four disjoint random samples of that size are searched, and
  /// the mean of log h, or lambda, is scaled to all points: bagged cross-validation (Barreiro-Ures, Cao, Francisco-Fernandez
  /// and Hart 2021), whose error is little more than that of a search on all points.
  Index points = 50'000;
  int iterations = 50;      ///< of each search, at most
  double precision = 1e-3;  ///< of log h, and of lambda, where there are more points than `sample`
  Eigen::VectorXd start =
      {};  ///< bandwidths for all points to begin from as well, as from plug_in_bandwidth(); empty: none
  /// Told of each iterate: bandwidths, and the criterion on the points in use.
  std::function<void(const Eigen::VectorXd& bandwidths, double criterion)> progress = {};
};

/// What a search has found.
struct BandwidthChoice {
  Eigen::VectorXd bandwidths;  ///< h or lambda, one for each column
  double criterion = 0;       ///< at these bandwidths, on all points; of samples, the mean over them
  int evaluations = 0;        ///< of the criterion with its gradient, on all points and on samples
};

namespace detail {

/// A criterion behind one type; refers to it.
struct AnyCriterion {
  bool leaves_out;
  FunctionRef<CriterionValue(const SmootherError&)> value;
};

/// The function to minimize: its value on data at bandwidths, and the gradient by the variables of the search unless
/// null.
using BandwidthObjective = FunctionRef<double(const LocalData&, const Eigen::VectorXd&, Eigen::VectorXd*)>;

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
