// A local regression whose kernel, criterion and bandwidths are chosen at run time.
#pragma once

#include <nadaraya/engine/executor.hpp>
#include <nadaraya/operator_options.hpp>
#include <nadaraya/regression/local_regression.hpp>
#include <nadaraya/types.hpp>

#include <Eigen/Core>

#include <memory>
#include <string>
#include <vector>

namespace program {

/// A fitted regression, whichever its kernel.
class ChosenRegression {
 public:
  using Matrix = nadaraya::RowMatrix<double>;

  ChosenRegression() = default;
  ChosenRegression(const ChosenRegression&) = delete;
  ChosenRegression& operator=(const ChosenRegression&) = delete;
  virtual ~ChosenRegression() = default;

  virtual nadaraya::Prediction<double> predict(const Matrix& queries, const nadaraya::Threads& threads) const = 0;
  virtual nadaraya::RegressionDiagnostics diagnose(const nadaraya::Threads& threads) const = 0;
  virtual nadaraya::IntervalPrediction intervals(const Matrix& queries, const nadaraya::RegressionDiagnostics& diagnostics,
                                                 double level, const nadaraya::Threads& threads) const = 0;
  /// As LocalRegression::bands.
  virtual nadaraya::IntervalPrediction bands(const Matrix& queries, const nadaraya::RegressionDiagnostics& diagnostics,
                                             double level, const nadaraya::Threads& threads) const = 0;
  virtual nadaraya::SlopePrediction slopes(const Matrix& queries, const nadaraya::RegressionDiagnostics& diagnostics,
                                           const nadaraya::Threads& threads) const = 0;
  /// "loo", "gcv" or "aicc".
  virtual double criterion(const std::string& name, const nadaraya::Threads& threads) const = 0;
  /// The bandwidths, or with neighbors the standard deviations of the columns.
  virtual const Eigen::VectorXd& scales() const = 0;
  virtual nadaraya::Index neighbors() const = 0;
  virtual const Matrix& x() const = 0;
  virtual const Matrix& y() const = 0;
};

struct RegressionOptions {
  nadaraya::OperatorOptions kernel;  ///< kernel, exponent, alpha and spelling alone
  /// "loo", "gcv", "aicc", or for one column "plugin", the plug-in rule.
  std::string criterion = "loo";
  Eigen::VectorXd bandwidths = {};  ///< one for each column, or one for all; none: chosen by the criterion
  std::vector<nadaraya::Index> neighbors = {};  ///< in the place of bandwidths; the best of several by the criterion
  nadaraya::LocalModel model = {};
  nadaraya::BandwidthSearch search = {};
};

/// x [N x Dx], y [N x Dy]. Throws UsageError for names that are none, std::invalid_argument for what the library refuses.
std::unique_ptr<ChosenRegression> choose_regression(RegressionOptions options, const ChosenRegression::Matrix& x,
                                                    const ChosenRegression::Matrix& y, const nadaraya::Threads& threads);

}  // namespace program
