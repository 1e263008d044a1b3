// Observations and columns of a density or a classifier, and by what a density's bandwidths are chosen.
#pragma once

#include "nadaraya/regression/columns.hpp"
#include "nadaraya/types.hpp"

#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The points of a density.
struct DensityModel {
  Eigen::VectorXd weights = {};          ///< of the observations [N], positive; empty: 1 each
  std::vector<ColumnKind> columns = {};  ///< of x; empty: all continuous
  Eigen::VectorXd factors = {};          ///< by which the bandwidths are multiplied for each point [N]; empty: 1 each
};

/// Minus the mean of log f_i(x_i), f_i the density without point i (Habbema, Hermans and van den Broek 1974; Duin
/// 1976). log f counts as at least that of 1 / N^2 spread evenly over the ranges and levels of the columns: a point
/// without a neighbor is bad but not infinitely so.
struct LikelihoodCrossValidation {};

/// int f^2 - 2 mean f_i(x_i), the integrated squared error but for a constant (Rudemo 1982; Bowman 1984). For compact
/// kernels and the Gaussian; without factors of the points.
struct LeastSquaresCrossValidation {};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
