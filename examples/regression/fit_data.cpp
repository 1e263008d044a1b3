#include "fit_data.hpp"

#include "table.hpp"

#include "../support/csv.hpp"
#include "../support/gnuplot.hpp"
#include "../support/usage.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

namespace regression {
namespace {

using nadaraya::ColumnKind;
using nadaraya::Index;
using program::refuse;
using Matrix = nadaraya::RowMatrix<double>;

/// Columns of a data file by their roles.
struct Columns {
  std::size_t response;
  std::vector<std::size_t> predictors;
  std::vector<ColumnKind> kinds;  ///< of the predictors
  std::optional<std::size_t> weights;

  Columns(const Table& table, const FitOptions& o) : response(table.find("--response", o.response)) {
    if (o.weights) weights = table.find("--weights", *o.weights);
    for (const std::string& choice : o.predictors) predictors.push_back(table.find("--predictors", choice));
    if (o.predictors.empty()) {
      for (std::size_t i = 0; i < table.columns(); ++i) {
        if (i != response && i != weights && (table.has_name(i) || !table.names_columns())) predictors.push_back(i);
      }
    }
    if (predictors.empty()) refuse("--predictors: " + table.what() + " has no column but the response");
    std::vector<std::size_t> all = predictors;
    all.push_back(response);
    if (weights) all.push_back(*weights);
    std::sort(all.begin(), all.end());
    const auto twice = std::adjacent_find(all.begin(), all.end());
    if (twice != all.end()) refuse("--predictors: " + table.name(*twice) + " is named twice, or is the response or the weights");
    kinds.assign(predictors.size(), ColumnKind::continuous);
    set_kinds(table, "--unordered", o.unordered, ColumnKind::unordered);
    set_kinds(table, "--ordered", o.ordered, ColumnKind::ordered);
  }

 private:
  void set_kinds(const Table& table, const std::string& option, const std::vector<std::string>& choices, ColumnKind kind) {
    for (const std::string& choice : choices) {
      const auto at = std::find(predictors.begin(), predictors.end(), table.find(option, choice));
      if (at == predictors.end()) refuse(option + " " + choice + ": it is no predictor");
      ColumnKind& one = kinds[static_cast<std::size_t>(at - predictors.begin())];
      if (one != ColumnKind::continuous) refuse(option + " " + choice + ": it is named twice as a category");
      one = kind;
    }
  }
};

Eigen::VectorXd numbers(const std::string& list, const std::string& option) {
  std::vector<double> result;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = (std::min)(list.find(',', at), list.size());
    const detail::Number read = detail::number(list.substr(at, end - at));
    if (read.error != std::errc{}) refuse(option + " " + list + ": it must be loo, gcv, aicc, plugin, or numbers with commas between them");
    result.push_back(read.value);
    at = end + 1;
  }
  return Eigen::Map<const Eigen::VectorXd>(result.data(), static_cast<Index>(result.size()));
}

}  // namespace

FitData read_fit_data(const FitOptions& o, Response response) {
  if (o.missing != "refuse" && o.missing != "drop") refuse("--missing " + o.missing + ": it must be refuse or drop");
  const Missing missing = o.missing == "drop" ? Missing::drop : Missing::refuse;
  const Table table(o.data, o.data);
  const Columns columns(table, o);
  FitData data;
  data.kinds = columns.kinds;
  std::vector<std::size_t> all = columns.predictors;
  all.push_back(columns.response);
  for (const std::size_t column : all) data.names.push_back(table.name(column));
  if (columns.weights) all.push_back(*columns.weights);
  for (std::size_t d = 0; d < columns.kinds.size(); ++d) {
    if (columns.kinds[d] == ColumnKind::unordered) data.named[d];
  }
  if (response == Response::classes) data.named[columns.predictors.size()];
  Rows rows = read_rows(table, all, missing, data.named);
  if (rows.numbers.rows() < 3) {
    refuse(o.data + ": it has " + std::to_string(rows.numbers.rows()) + " complete rows, and at least 3 are needed");
  }
  data.left_out = std::move(rows.left_out);
  data.numbers = rows.numbers.leftCols(static_cast<Index>(data.names.size()));
  if (columns.weights) data.weights = rows.numbers.rightCols(1);
  data.at = data.numbers.leftCols(data.predictors());
  if (o.predict) {
    const Table more(*o.predict, "--predict " + *o.predict);
    std::vector<std::size_t> same;
    for (std::size_t d = 0; d + 1 < data.names.size(); ++d) {
      same.push_back(more.names_columns() ? more.find("--predictors", data.names[d]) : d);
      if (same.back() >= more.columns()) refuse(more.what() + ": it has no column for " + data.names[d]);
    }
    data.at = read_rows(more, same, missing, data.named).numbers;
  }
  return data;
}

bool is_criterion(const std::string& text) { return text == "loo" || text == "gcv" || text == "aicc" || text == "plugin"; }

program::RegressionOptions regression_options(const FitOptions& o, const FitData& data) {
  const std::vector<ColumnKind>& kinds = data.kinds;
  const std::size_t predictors = kinds.size();
  const bool categories = !o.unordered.empty() || !o.ordered.empty();
  program::RegressionOptions options;
  options.kernel.spelling = nadaraya::OptionSpelling::command_line;
  options.kernel.kernel = o.kernel;
  options.kernel.exponent = o.exponent;
  options.model.degree = o.degree;
  options.model.ridge = o.ridge;
  if (categories) options.model.columns = kinds;
  options.model.weights = data.weights;
  options.neighbors.assign(o.neighbors.begin(), o.neighbors.end());
  if (is_criterion(o.bandwidth)) {
    options.criterion = o.bandwidth;
    if (o.bandwidth == "plugin" && predictors != 1) refuse("--bandwidth plugin is for one predictor, got " + std::to_string(predictors));
    if (o.bandwidth == "plugin" && categories) refuse("--bandwidth plugin is for a predictor without categories");
    if (o.bandwidth == "plugin" && !o.neighbors.empty()) refuse("--bandwidth plugin and --neighbors exclude each other");
    return options;
  }
  options.bandwidths = numbers(o.bandwidth, "--bandwidth");
  if (!o.neighbors.empty()) refuse("--bandwidth " + o.bandwidth + " and --neighbors exclude each other");
  const auto given = static_cast<std::size_t>(options.bandwidths.size());
  if (given != predictors && (given != 1 || categories)) {
    refuse("--bandwidth " + o.bandwidth + (categories ? ": one number is needed" : ": one number is needed, or one") + " for each of the " +
           std::to_string(predictors) + " predictors");
  }
  for (std::size_t d = 0; d < given; ++d) {
    const double h = options.bandwidths(static_cast<Index>(d));
    if (kinds[d] == ColumnKind::continuous) {
      if (!(h > 0)) refuse("--bandwidth " + o.bandwidth + ": a bandwidth must be positive");
    } else if (!(h >= 0 && h <= 1)) {
      refuse("--bandwidth " + o.bandwidth + ": that of a category must be from 0 to 1");
    }
  }
  return options;
}

nlohmann::ordered_json summary_of_data(const FitOptions& o, const FitData& data) {
  nlohmann::ordered_json json;
  json["data"] = o.data;
  json["rows"] = data.numbers.rows();
  json["left_out"] = data.left_out;
  json["response"] = data.names.back();
  json["predictors"] = std::vector<std::string>(data.names.begin(), data.names.end() - 1);
  for (const auto& [name, categories] : {std::pair{"unordered", &o.unordered}, std::pair{"ordered", &o.ordered}}) {
    if (!categories->empty()) json[name] = *categories;
  }
  if (o.weights) json["weights"] = *o.weights;
  json["kernel"] = o.kernel;
  if (o.exponent) json["exponent"] = *o.exponent;
  return json;
}

void print_data(const FitOptions& o, const FitData& data, const std::string& more) {
  std::printf("%td rows", data.numbers.rows());
  if (!data.left_out.empty()) std::printf(", %zu left out", data.left_out.size());
  std::printf("; %s kernel, %s\n", o.kernel.c_str(), more.c_str());
  for (const std::string& row : data.left_out) std::printf("  %s\n", row.c_str());
}

void print_number(const std::string& what, double value) { std::printf("%-28s %12.5g\n", what.c_str(), value); }

std::string cell(double x) { return std::isnan(x) ? std::string() : gnuplot::number(x); }

std::string table_of_predictions(const FitData& data, const std::string& names, const std::function<std::string(Index)>& cells) {
  std::string text;
  for (std::size_t d = 0; d + 1 < data.names.size(); ++d) text += csv::quoted(data.names[d]) + ",";
  text += names + "\n";
  for (Index i = 0; i < data.at.rows(); ++i) {
    for (Index d = 0; d < data.at.cols(); ++d) {
      const auto levels = data.named.find(static_cast<std::size_t>(d));
      text += (levels == data.named.end() ? cell(data.at(i, d)) : csv::quoted(levels->second.name(data.at(i, d)))) + ",";
    }
    text += cells(i) + "\n";
  }
  return text;
}

}  // namespace regression
