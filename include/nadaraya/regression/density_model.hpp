// Observations and columns of a density or a classifier.
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

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
