#include "fit.hpp"

#include "band_picture.hpp"
#include "rows.hpp"
#include "scaled_fit.hpp"
#include "table.hpp"

#include "../support/chosen_regression.hpp"
#include "../support/csv.hpp"
#include "../support/files.hpp"
#include "../support/gnuplot.hpp"
#include "../support/main.hpp"

#include <nadaraya/regression/residual_summary.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace regression {
namespace {

using nadaraya::ColumnKind;
using nadaraya::Index;
using nadaraya::Threads;
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

bool is_criterion(const std::string& text) { return text == "loo" || text == "gcv" || text == "aicc" || text == "plugin"; }

/// The criterion that is reported: the plug-in rule minimizes none.
std::string criterion_of(const FitOptions& o) { return is_criterion(o.bandwidth) && o.bandwidth != "plugin" ? o.bandwidth : "loo"; }

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

program::RegressionOptions regression_options(const FitOptions& o, const std::vector<ColumnKind>& kinds) {
  const std::size_t predictors = kinds.size();
  const bool categories = !o.unordered.empty() || !o.ordered.empty();
  program::RegressionOptions options;
  options.kernel.spelling = nadaraya::OptionSpelling::command_line;
  options.kernel.kernel = o.kernel;
  options.kernel.exponent = o.exponent;
  options.model.degree = o.degree;
  options.model.ridge = o.ridge;
  if (categories) options.model.columns = kinds;
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

nlohmann::ordered_json summary(const FitOptions& o, const std::vector<std::string>& names, const Rows& rows, const ScaledFit& fit,
                               double criterion) {
  // JSON has no infinity.
  const auto finite = [](double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(nullptr); };
  nlohmann::ordered_json json;
  json["data"] = o.data;
  json["rows"] = rows.numbers.rows();
  json["left_out"] = rows.left_out;
  json["response"] = names.back();
  json["predictors"] = std::vector<std::string>(names.begin(), names.end() - 1);
  for (const auto& [name, categories] : {std::pair{"unordered", &o.unordered}, std::pair{"ordered", &o.ordered}}) {
    if (!categories->empty()) json[name] = *categories;
  }
  if (o.weights) json["weights"] = *o.weights;
  json["kernel"] = o.kernel;
  if (o.exponent) json["exponent"] = *o.exponent;
  json["degree"] = o.degree;
  json["ridge"] = o.ridge;
  if (fit.neighbors() > 0) {
    json["neighbors"] = fit.neighbors();
  } else {
    for (std::size_t d = 0; d + 1 < names.size(); ++d) json["bandwidths"].push_back(fit.bandwidth(static_cast<Index>(d)));
  }
  json["criterion"] = {{"name", criterion_of(o)}, {"value", finite(criterion)}};
  json["chosen_by"] = nullptr;
  if (o.neighbors.size() != 1 && is_criterion(o.bandwidth)) json["chosen_by"] = o.bandwidth;
  json["degrees_of_freedom"] = fit.degrees_of_freedom();
  json["residual_degrees_of_freedom"] = fit.residual_degrees_of_freedom();
  json["residual_standard_deviation"] = finite(fit.residual_deviation());
  json["r_squared"] = finite(fit.r_squared());
  const nadaraya::ResidualSummary residuals = fit.residuals();
  json["residuals"] = {{"least", residuals.least}, {"lower_quartile", residuals.lower_quartile}, {"median", residuals.median},
                       {"upper_quartile", residuals.upper_quartile}, {"largest", residuals.most}};
  return json;
}

void print(const nlohmann::ordered_json& s, const std::vector<std::string>& names, const ScaledFit& fit) {
  std::printf("%td rows", s["rows"].get<std::ptrdiff_t>());
  if (!s["left_out"].empty()) std::printf(", %zu left out", s["left_out"].size());
  std::printf("; %s kernel, degree %d\n", s["kernel"].get<std::string>().c_str(), s["degree"].get<int>());
  for (const auto& row : s["left_out"]) std::printf("  %s\n", row.get<std::string>().c_str());
  if (fit.neighbors() > 0) {
    std::printf("%-28s %12td\n", "neighbors", fit.neighbors());
  } else {
    for (std::size_t d = 0; d + 1 < names.size(); ++d) {
      std::printf("%-28s %12.5g\n", ("bandwidth of " + names[d]).c_str(), fit.bandwidth(static_cast<Index>(d)));
    }
  }
  const auto line = [](const char* what, const nlohmann::ordered_json& value) {
    if (value.is_number()) std::printf("%-28s %12.5g\n", what, value.get<double>());
  };
  const std::string criterion = s["criterion"]["name"];
  line(criterion == "loo" ? "leave-one-out error" : criterion == "gcv" ? "cross-validation (gcv)" : "corrected AIC", s["criterion"]["value"]);
  line("degrees of freedom", s["degrees_of_freedom"]);
  line("residual standard deviation", s["residual_standard_deviation"]);
  line("R squared", s["r_squared"]);
}

std::string percent(double level) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3g", 100 * level);
  return buffer;
}

std::string table_of_predictions(const std::vector<std::string>& names, const NamedColumns& named, const Matrix& at, const Band& band) {
  const auto cell = [](double x) { return std::isnan(x) ? std::string() : gnuplot::number(x); };
  std::string text;
  for (std::size_t d = 0; d < static_cast<std::size_t>(at.cols()); ++d) text += csv::quoted(names[d]) + ",";
  text += "fit,standard_error,lower,upper\n";
  for (Index i = 0; i < at.rows(); ++i) {
    for (Index d = 0; d < at.cols(); ++d) {
      const auto levels = named.find(static_cast<std::size_t>(d));
      text += (levels == named.end() ? cell(at(i, d)) : csv::quoted(levels->second.name(at(i, d)))) + ",";
    }
    text += cell(band.fit(i)) + "," + cell(band.error(i)) + "," + cell(band.lower(i)) + "," + cell(band.upper(i)) + "\n";
  }
  return text;
}

}  // namespace

void fit(const FitOptions& o) {
  if (!(o.level > 0 && o.level < 1)) refuse("--level must be between 0 and 1");
  if (o.missing != "refuse" && o.missing != "drop") refuse("--missing " + o.missing + ": it must be refuse or drop");
  if (o.band != "pointwise" && o.band != "simultaneous") refuse("--band " + o.band + ": it must be pointwise or simultaneous");
  const bool together = o.band == "simultaneous";
  if (o.predict && !o.output) refuse("--predict needs --output");
  if (o.plot) require_picture_name(*o.plot);
  program::check_threads(o.threads);
  const Missing missing = o.missing == "drop" ? Missing::drop : Missing::refuse;
  const Table table(o.data, o.data);
  const Columns columns(table, o);
  std::vector<std::string> names;
  for (const std::size_t column : columns.predictors) names.push_back(table.name(column));
  program::RegressionOptions options = regression_options(o, columns.kinds);
  NamedColumns named;
  for (std::size_t d = 0; d < columns.kinds.size(); ++d) {
    if (columns.kinds[d] == ColumnKind::unordered) named[d];
  }
  std::vector<std::size_t> all = columns.predictors;
  all.push_back(columns.response);
  if (columns.weights) all.push_back(*columns.weights);
  names.push_back(table.name(columns.response));
  const Rows rows = read_rows(table, all, missing, named);
  if (rows.numbers.rows() < 3) {
    refuse(o.data + ": it has " + std::to_string(rows.numbers.rows()) + " complete rows, and at least 3 are needed");
  }
  const Matrix numbers_of_fit = rows.numbers.leftCols(static_cast<Index>(names.size()));
  if (columns.weights) options.model.weights = rows.numbers.rightCols(1);
  Matrix at = numbers_of_fit.leftCols(numbers_of_fit.cols() - 1);
  if (o.predict) {
    const Table more(*o.predict, "--predict " + *o.predict);
    std::vector<std::size_t> same;
    for (std::size_t d = 0; d + 1 < names.size(); ++d) {
      same.push_back(more.names_columns() ? more.find("--predictors", names[d]) : d);
      if (same.back() >= more.columns()) refuse(more.what() + ": it has no column for " + names[d]);
    }
    at = read_rows(more, same, missing, named).numbers;
  }

  const ScaledFit model(numbers_of_fit, names, options, Threads{o.threads});
  const double criterion = model.criterion(criterion_of(o));
  const nlohmann::ordered_json json = summary(o, names, rows, model, criterion);
  print(json, names, model);
  if (o.output) {
    const Band band = model.intervals(at, o.level, together);
    program::write_file(*o.output, table_of_predictions(names, named, at, band), "--output " + *o.output);
    if (!band.empty_rows.empty()) {
      std::printf("%zu predictions are empty: no point is within the bandwidth\n", band.empty_rows.size());
    }
  }
  if (o.summary) program::write_file(*o.summary, json.dump(2) + "\n", "--summary " + *o.summary);
  program::flush_standard_output();
  if (o.plot) {
    draw_bands(*o.plot, names, columns.kinds, numbers_of_fit, percent(o.level) + (together ? " percent band" : " percent interval"),
               [&](const Matrix& queries) { return model.intervals(queries, o.level, together); });
  }
}

}  // namespace regression
