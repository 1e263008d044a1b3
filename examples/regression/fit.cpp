#include "fit.hpp"

#include "band_picture.hpp"
#include "fit_data.hpp"
#include "scaled_fit.hpp"

#include "../support/files.hpp"
#include "../support/main.hpp"

#include <nadaraya/regression/residual_summary.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>

namespace regression {
namespace {

using nadaraya::Index;
using nadaraya::Threads;
using program::refuse;

/// The criterion that is reported: the plug-in rule minimizes none.
std::string criterion_of(const FitOptions& o) { return is_criterion(o.bandwidth) && o.bandwidth != "plugin" ? o.bandwidth : "loo"; }

nlohmann::ordered_json summary(const FitOptions& o, const FitData& data, const ScaledFit& fit, double criterion) {
  // JSON has no infinity.
  const auto finite = [](double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(nullptr); };
  nlohmann::ordered_json json = summary_of_data(o, data);
  json["degree"] = o.degree;
  json["ridge"] = o.ridge;
  if (fit.neighbors() > 0) {
    json["neighbors"] = fit.neighbors();
  } else {
    for (Index d = 0; d < data.predictors(); ++d) json["bandwidths"].push_back(fit.bandwidth(d));
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

void print(const FitOptions& o, const nlohmann::ordered_json& s, const FitData& data, const ScaledFit& fit) {
  print_data(o, data, "degree " + std::to_string(o.degree));
  if (fit.neighbors() > 0) {
    std::printf("%-28s %12td\n", "neighbors", fit.neighbors());
  } else {
    for (Index d = 0; d < data.predictors(); ++d) {
      print_number("bandwidth of " + data.names[static_cast<std::size_t>(d)], fit.bandwidth(d));
    }
  }
  const auto line = [](const char* what, const nlohmann::ordered_json& value) {
    if (value.is_number()) print_number(what, value.get<double>());
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

}  // namespace

void fit(const FitOptions& o) {
  if (!(o.level > 0 && o.level < 1)) refuse("--level must be between 0 and 1");
  if (o.band != "pointwise" && o.band != "simultaneous") refuse("--band " + o.band + ": it must be pointwise or simultaneous");
  const bool together = o.band == "simultaneous";
  if (o.predict && !o.output) refuse("--predict needs --output");
  if (o.plot) require_picture_name(*o.plot);
  program::check_threads(o.threads);
  const FitData data = read_fit_data(o, Response::numbers);
  const ScaledFit model(data.numbers, data.names, regression_options(o, data), Threads{o.threads});
  const double criterion = model.criterion(criterion_of(o));
  const nlohmann::ordered_json json = summary(o, data, model, criterion);
  print(o, json, data, model);
  if (o.output) {
    const Band band = model.intervals(data.at, o.level, together);
    const auto cells = [&](Index i) { return cell(band.fit(i)) + "," + cell(band.error(i)) + "," + cell(band.lower(i)) + "," + cell(band.upper(i)); };
    program::write_file(*o.output, table_of_predictions(data, "fit,standard_error,lower,upper", cells), "--output " + *o.output);
    if (!band.empty_rows.empty()) {
      std::printf("%zu predictions are empty: no point is within the bandwidth\n", band.empty_rows.size());
    }
  }
  if (o.summary) program::write_file(*o.summary, json.dump(2) + "\n", "--summary " + *o.summary);
  program::flush_standard_output();
  if (o.plot) {
    draw_bands(*o.plot, data.names, data.kinds, data.numbers, percent(o.level) + (together ? " percent band" : " percent interval"),
               [&](const nadaraya::RowMatrix<double>& queries) { return model.intervals(queries, o.level, together); });
  }
}

}  // namespace regression
