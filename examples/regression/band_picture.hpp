// A picture of a fit with its intervals: one panel for each continuous predictor.
#pragma once

#include <nadaraya/regression/columns.hpp>
#include <nadaraya/types.hpp>

#include <Eigen/Core>

#include <functional>
#include <string>
#include <vector>

namespace regression {

/// Predictions with their intervals; NaN where there are none.
struct Band {
  Eigen::VectorXd fit, error, lower, upper;
  std::vector<nadaraya::Index> empty_rows;
};

/// Throws program::UsageError for a name that ends in neither .svg nor .png.
void require_picture_name(const std::string& path);

/// The fit along each continuous predictor, the others at their medians or most frequent category, above the points.
/// numbers [N x predictors + 1], the response last, and `names` likewise; `kinds` are those of the predictors. `interval` is
/// what the band is called. The script of gnuplot goes into the folder of the picture. Throws program::UsageError.
void draw_bands(const std::string& path, const std::vector<std::string>& names, const std::vector<nadaraya::ColumnKind>& kinds,
                const nadaraya::RowMatrix<double>& numbers, const std::string& interval,
                const std::function<Band(const nadaraya::RowMatrix<double>& queries)>& predict);

}  // namespace regression
