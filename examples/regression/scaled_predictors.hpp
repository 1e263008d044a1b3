// Predictors in units of their ranges, so that their squares neither overflow, underflow nor cancel.
#pragma once

#include "scale.hpp"

#include "../support/usage.hpp"

#include <nadaraya/regression/columns.hpp>
#include <nadaraya/types.hpp>

#include <Eigen/Core>

#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

namespace regression {

class ScaledPredictors {
 public:
  using Matrix = nadaraya::RowMatrix<double>;

  /// numbers [N x predictors], and their names; `kinds` is empty if all are continuous. Throws program::UsageError.
  ScaledPredictors(const Matrix& numbers, const std::vector<std::string>& names, const std::vector<nadaraya::ColumnKind>& kinds) {
    for (nadaraya::Index d = 0; d < numbers.cols(); ++d) {
      const double range = numbers.col(d).maxCoeff() - numbers.col(d).minCoeff();
      const auto at = static_cast<std::size_t>(d);
      if (!(range > 0)) program::refuse("--predictors: all rows have the same " + names[at]);
      if (!std::isfinite(range)) program::refuse("--predictors: " + names[at] + " spans too much");
      const bool category = !kinds.empty() && kinds[at] != nadaraya::ColumnKind::continuous;
      scales_.push_back(category ? Scale{} : scale_by_range(numbers.col(d)));
    }
    x_ = to(numbers);
  }

  const Matrix& x() const { return x_; }
  double unit(nadaraya::Index d) const { return scales_[static_cast<std::size_t>(d)].unit; }

  Matrix to(const Matrix& numbers) const {
    Matrix scaled(numbers.rows(), numbers.cols());
    for (nadaraya::Index d = 0; d < numbers.cols(); ++d) scaled.col(d) = scales_[static_cast<std::size_t>(d)].to(numbers.col(d));
    return scaled;
  }

  /// From one bandwidth for each predictor, or one for all, in the units of the data; none stay none.
  Eigen::VectorXd scaled_bandwidths(const Eigen::VectorXd& bandwidths) const {
    if (bandwidths.size() == 0) return bandwidths;
    Eigen::VectorXd scaled(x_.cols());
    for (nadaraya::Index d = 0; d < scaled.size(); ++d) scaled(d) = bandwidths(bandwidths.size() == 1 ? 0 : d) / unit(d);
    return scaled;
  }

  /// Shows scaled bandwidths where a user watches the search.
  void show(const std::vector<std::string>& names, const Eigen::VectorXd& h) const {
    if (isatty(STDERR_FILENO) == 0) return;
    std::cerr << "\r\033[K";
    for (nadaraya::Index d = 0; d < h.size(); ++d) std::cerr << names[static_cast<std::size_t>(d)] << " " << h(d) * unit(d) << "  ";
    std::cerr << std::flush;
  }
  /// The line is free again.
  static void clear() {
    if (isatty(STDERR_FILENO) != 0) std::cerr << "\r\033[K" << std::flush;
  }

 private:
  std::vector<Scale> scales_;
  Matrix x_;
};

}  // namespace regression
