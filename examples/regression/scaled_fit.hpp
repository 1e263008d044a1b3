// A local regression of a response on predictors in their own units.
#pragma once

#include "band_picture.hpp"
#include "scale.hpp"
#include "scaled_predictors.hpp"

#include "../support/chosen_regression.hpp"
#include "../support/usage.hpp"

#include <nadaraya/engine/executor.hpp>
#include <nadaraya/regression/residual_summary.hpp>
#include <nadaraya/types.hpp>

#include <Eigen/Core>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace regression {

/// A regression, and its predictions in the units of the data.
class ScaledFit {
 public:
  using Matrix = nadaraya::RowMatrix<double>;

  /// numbers [N x predictors + 1], the response last, and `names` likewise. Bandwidths of the options are in the units of the
  /// data. Throws program::UsageError.
  ScaledFit(const Matrix& numbers, const std::vector<std::string>& names, const program::RegressionOptions& options,
            const nadaraya::Threads& threads)
      : threads_(threads), predictors_(numbers.leftCols(numbers.cols() - 1), names, options.model.columns) {
    const nadaraya::Index predictors = numbers.cols() - 1;
    response_ = scale_by_size(numbers.col(predictors));
    program::RegressionOptions scaled = options;
    scaled.bandwidths = predictors_.scaled_bandwidths(options.bandwidths);
    scaled.search.progress = [&](const Eigen::VectorXd& h, double) { predictors_.show(names, h); };
    model_ = program::as_usage([&] {
      return program::choose_regression(scaled, predictors_.x(), response_.to(numbers.col(predictors)), threads_);
    });
    predictors_.clear();
    diagnostics_ = model_->diagnose(threads_);
  }

  nadaraya::Index neighbors() const { return model_->neighbors(); }
  double bandwidth(nadaraya::Index d) const { return model_->scales()(d) * predictors_.unit(d); }
  /// In the units of the data, and of the corrected AIC's logarithm.
  double criterion(const std::string& name) const {
    const double value = model_->criterion(name, threads_);
    return name == "aicc" ? value + 2 * std::log(response_.unit) : value * response_.unit * response_.unit;
  }
  double degrees_of_freedom() const { return diagnostics_.degrees_of_freedom; }
  double residual_degrees_of_freedom() const { return diagnostics_.residual_degrees_of_freedom; }
  double residual_deviation() const { return std::sqrt(diagnostics_.variance(0)) * response_.unit; }
  double r_squared() const { return diagnostics_.r_squared(0); }
  nadaraya::ResidualSummary residuals() const {
    nadaraya::ResidualSummary r = nadaraya::summarize_residuals(diagnostics_);
    for (double* one : {&r.least, &r.lower_quartile, &r.median, &r.upper_quartile, &r.most}) *one *= response_.unit;
    return r;
  }

  /// In the units of the data; NaN where no point is within the bandwidth.
  Band intervals(const Matrix& at, double level, bool together) const {
    const Matrix queries = predictors_.to(at);
    const auto found = program::as_usage([&] {
      return together ? model_->bands(queries, diagnostics_, level, threads_) : model_->intervals(queries, diagnostics_, level, threads_);
    });
    Band band{found.values.col(0) * response_.unit, found.standard_errors.col(0) * response_.unit, found.lower.col(0) * response_.unit,
              found.upper.col(0) * response_.unit, found.empty_rows};
    for (const nadaraya::Index i : band.empty_rows) band.fit(i) = band.error(i) = band.lower(i) = band.upper(i) = std::nan("");
    return band;
  }

 private:
  nadaraya::Threads threads_;
  ScaledPredictors predictors_;
  Scale response_;
  std::unique_ptr<program::ChosenRegression> model_;
  nadaraya::RegressionDiagnostics diagnostics_;
};

}  // namespace regression
