#include "chosen_regression.hpp"

#include "usage.hpp"

#include <nadaraya/make_operator.hpp>
#include <nadaraya/regression/criterion.hpp>
#include <nadaraya/regression/plug_in.hpp>

#include <type_traits>
#include <utility>

namespace program {
namespace {

/// visit(criterion)
template <class Visit>
decltype(auto) with_criterion(const std::string& name, const Visit& visit) {
  if (name == "gcv") return visit(nadaraya::GeneralizedCrossValidation{});
  if (name == "aicc") return visit(nadaraya::CorrectedAic{});
  if (name == "loo") return visit(nadaraya::LeaveOneOut{});
  refuse("the criterion must be loo, gcv or aicc, got " + name);
}

template <class K>
class RegressionOfKernel final : public ChosenRegression {
 public:
  explicit RegressionOfKernel(nadaraya::LocalRegression<K> model) : model_(std::move(model)) {}

  nadaraya::Prediction<double> predict(const Matrix& queries, const nadaraya::Threads& threads) const override {
    return model_.predict(queries, threads);
  }
  nadaraya::RegressionDiagnostics diagnose(const nadaraya::Threads& threads) const override { return model_.diagnose(threads); }
  nadaraya::IntervalPrediction intervals(const Matrix& queries, const nadaraya::RegressionDiagnostics& diagnostics, double level,
                                         const nadaraya::Threads& threads) const override {
    return model_.intervals(queries, diagnostics, level, threads);
  }
  nadaraya::IntervalPrediction bands(const Matrix& queries, const nadaraya::RegressionDiagnostics& diagnostics, double level,
                                     const nadaraya::Threads& threads) const override {
    return model_.bands(queries, diagnostics, level, {}, threads);
  }
  nadaraya::SlopePrediction slopes(const Matrix& queries, const nadaraya::RegressionDiagnostics& diagnostics,
                                   const nadaraya::Threads& threads) const override {
    return model_.slopes(queries, diagnostics, threads);
  }
  double criterion(const std::string& name, const nadaraya::Threads& threads) const override {
    return with_criterion(name, [&](const auto& criterion) { return model_.criterion(criterion, threads); });
  }
  const Eigen::VectorXd& scales() const override { return model_.scales(); }
  nadaraya::Index neighbors() const override { return model_.neighbors(); }
  const Matrix& x() const override { return model_.x(); }
  const Matrix& y() const override { return model_.y(); }

 private:
  nadaraya::LocalRegression<K> model_;
};

template <class K>
nadaraya::LocalRegression<K> fitted(const K& kernel, const RegressionOptions& o, const ChosenRegression::Matrix& x,
                                    const ChosenRegression::Matrix& y, const nadaraya::Threads& threads) {
  using Model = nadaraya::LocalRegression<K>;
  if (!o.neighbors.empty()) {
    if constexpr (nadaraya::CompactKernel<K>) {
      if (o.neighbors.size() == 1) return Model(kernel, nadaraya::NearestNeighbors{o.neighbors[0]}, x, y, o.model);
      return with_criterion(o.criterion, [&](const auto& criterion) {
        return Model::fit_neighbors(kernel, x, y, o.neighbors, criterion, o.model, threads);
      });
    } else {
      refuse("neighbors need a compact kernel, got " + o.kernel.kernel);
    }
  }
  if (o.bandwidths.size() > 0) {
    const bool one = o.bandwidths.size() == 1;
    return Model(kernel, one ? Eigen::VectorXd::Constant(x.cols(), o.bandwidths(0)) : o.bandwidths, x, y, o.model);
  }
  if (o.criterion == "plugin") {
    return Model(kernel, Eigen::VectorXd::Constant(1, nadaraya::plug_in_bandwidth(kernel, x, y)), x, y, o.model);
  }
  return with_criterion(o.criterion, [&](const auto& criterion) {
    return Model::fit(kernel, x, y, criterion, o.model, o.search, threads);
  });
}

}  // namespace

std::unique_ptr<ChosenRegression> choose_regression(RegressionOptions options, const ChosenRegression::Matrix& x,
                                                    const ChosenRegression::Matrix& y, const nadaraya::Threads& threads) {
  options.kernel.normalization = "fixed";
  options.kernel.similarity = "euclidean";
  options.kernel.bandwidth = 1.0;  // not used: those of the regression are
  as_usage([&] { options.kernel.validate(); });
  return nadaraya::with_kernel(options.kernel, [&](const auto& kernel) -> std::unique_ptr<ChosenRegression> {
    using K = std::remove_cvref_t<decltype(kernel)>;
    return std::make_unique<RegressionOfKernel<K>>(fitted(kernel, options, x, y, threads));
  });
}

}  // namespace program
