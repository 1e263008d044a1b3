#include "classify.hpp"

#include "fit_data.hpp"
#include "scaled_predictors.hpp"

#include "../support/csv.hpp"
#include "../support/files.hpp"
#include "../support/main.hpp"
#include "../support/usage.hpp"

#include <nadaraya/make_operator.hpp>
#include <nadaraya/regression/kernel_classifier.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace regression {
namespace {

using nadaraya::ClassErrors;
using nadaraya::ClassLikelihood;
using nadaraya::Index;
using nadaraya::Threads;
using program::refuse;

/// A fitted classifier, whichever its kernel, and its predictions.
struct Classification {
  Eigen::VectorXd bandwidths;  ///< of the scaled predictors
  Index neighbors;             ///< 0 with bandwidths
  double loss;                 ///< the mean of -log P(own class) over the rows, each left out
  double errors;               ///< the share of wrong predictions likewise
  nadaraya::ClassPrediction prediction;
};

struct Task {
  const program::RegressionOptions& options;  ///< bandwidths are those of the scaled predictors
  const nadaraya::RowMatrix<double>& x;
  std::vector<Index> labels;
  nadaraya::RowMatrix<double> at;
  Threads threads;
};

template <class K>
nadaraya::KernelClassifier<K> fitted(const K& kernel, const Task& task) {
  using Model = nadaraya::KernelClassifier<K>;
  const program::RegressionOptions& o = task.options;
  const nadaraya::ClassifierModel model{.weights = o.model.weights, .columns = o.model.columns};
  if (!o.neighbors.empty()) {
    if constexpr (nadaraya::CompactKernel<K>) {
      return Model::fit_neighbors(kernel, task.x, task.labels, o.neighbors, ClassLikelihood{}, model, task.threads);
    } else {
      refuse("neighbors need a compact kernel, got " + o.kernel.kernel);
    }
  }
  if (o.bandwidths.size() > 0) return Model(kernel, o.bandwidths, task.x, task.labels, model);
  return Model::fit(kernel, task.x, task.labels, ClassLikelihood{}, model, o.search, task.threads);
}

Classification classified(const Task& task) {
  return nadaraya::with_kernel(task.options.kernel, [&](const auto& kernel) {
    const auto model = fitted(kernel, task);
    return Classification{model.scales(), model.neighbors(), model.criterion(ClassLikelihood{}, task.threads),
                          model.criterion(ClassErrors{}, task.threads), model.predict(task.at, task.threads)};
  });
}

}  // namespace

void classify(const FitOptions& o) {
  if (is_criterion(o.bandwidth) && o.bandwidth != "loo") refuse("--bandwidth " + o.bandwidth + " is for a response of numbers; with --class, loo or numbers");
  if (o.predict && !o.output) refuse("--predict needs --output");
  program::check_threads(o.threads);
  const FitData data = read_fit_data(o, Response::classes);
  const Index predictors = data.predictors();
  const std::vector<std::string>& classes = data.named.at(static_cast<std::size_t>(predictors)).names();
  if (classes.size() < 2) refuse("--response " + o.response + ": all rows are of class " + classes[0]);

  program::RegressionOptions options = regression_options(o, data);
  const ScaledPredictors scaled(data.numbers.leftCols(predictors), data.names, options.model.columns);
  options.bandwidths = scaled.scaled_bandwidths(options.bandwidths);
  options.search.progress = [&](const Eigen::VectorXd& h, double) { scaled.show(data.names, h); };
  std::vector<Index> labels;
  for (Index i = 0; i < data.numbers.rows(); ++i) labels.push_back(static_cast<Index>(data.numbers(i, predictors)));
  const Classification found =
      program::as_usage([&] { return classified({options, scaled.x(), std::move(labels), scaled.to(data.at), Threads{o.threads}}); });
  ScaledPredictors::clear();

  nlohmann::ordered_json json = summary_of_data(o, data);
  json["classes"] = classes;
  print_data(o, data, std::to_string(classes.size()) + " classes");
  if (found.neighbors > 0) {
    json["neighbors"] = found.neighbors;
    std::printf("%-28s %12td\n", "neighbors", found.neighbors);
  } else {
    for (Index d = 0; d < predictors; ++d) {
      const double h = found.bandwidths(d) * scaled.unit(d);
      json["bandwidths"].push_back(h);
      print_number("bandwidth of " + data.names[static_cast<std::size_t>(d)], h);
    }
  }
  json["leave_one_out"] = {{"loss", found.loss}, {"accuracy", 1 - found.errors}};
  print_number("leave-one-out loss", found.loss);
  print_number("leave-one-out accuracy", 1 - found.errors);

  if (o.output) {
    std::string names = "class";
    for (const std::string& one : classes) names += "," + csv::quoted("probability of " + one);
    nadaraya::RowMatrix<double> probabilities = found.prediction.probabilities;
    for (const Index i : found.prediction.empty_rows) probabilities.row(i).setConstant(std::nan(""));
    const auto cells = [&](Index i) {
      const bool empty = std::isnan(probabilities(i, 0));
      std::string text = empty ? "" : csv::quoted(classes[static_cast<std::size_t>(found.prediction.labels[static_cast<std::size_t>(i)])]);
      for (Index c = 0; c < probabilities.cols(); ++c) text += "," + cell(probabilities(i, c));
      return text;
    };
    program::write_file(*o.output, table_of_predictions(data, names, cells), "--output " + *o.output);
    if (!found.prediction.empty_rows.empty()) {
      std::printf("%zu predictions are empty: no point is within the bandwidth\n", found.prediction.empty_rows.size());
    }
  }
  if (o.summary) program::write_file(*o.summary, json.dump(2) + "\n", "--summary " + *o.summary);
  program::flush_standard_output();
}

}  // namespace regression
