// Residuals in a few numbers.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/regression/diagnostics.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The residuals of one output.
struct ResidualSummary {
  double least = 0;             ///< the smallest
  double lower_quartile = 0;    ///< quartiles between neighbors linearly, as R's default (Hyndman and Fan 1996, type 7)
  double median = 0;            ///< the second quartile
  double upper_quartile = 0;    ///< the third quartile
  double most = 0;              ///< the largest
  double root_mean_square = 0;  ///< (sum r^2 / N)^(1/2)
};

/// Of output `output` of a regression on its own data.
inline ResidualSummary summarize_residuals(const RegressionDiagnostics& diagnostics, Index output = 0) {
  const RowMatrix<double>& residuals = diagnostics.residuals;
  detail::require(output >= 0 && output < residuals.cols() && residuals.rows() >= 1,
                  "summarize_residuals: output must be one of the columns of the residuals ", detail::shape(residuals),
                  ", got ", output);
  const Eigen::VectorXd column = residuals.col(output);
  std::vector<double> sorted(column.data(), column.data() + column.size());
  std::sort(sorted.begin(), sorted.end());
  const auto quantile = [&](double p) {
    const double at = p * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(at), above = (std::min)(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  };
  return {sorted.front(), quantile(0.25), quantile(0.5),
          quantile(0.75), sorted.back(),  std::sqrt(column.squaredNorm() / static_cast<double>(column.size()))};
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
