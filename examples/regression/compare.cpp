#include "compare.hpp"

#include "data.hpp"
#include "scale.hpp"
#include "tics.hpp"

#include "../support/gnuplot.hpp"
#include "../support/main.hpp"

#include <nadaraya/nadaraya.hpp>
#include <nadaraya/regression.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace regression {
namespace {

using namespace nadaraya;
using program::refuse;

/// The data as they are computed with.
struct Scaled {
  explicit Scaled(const Data& data)
      : x_scale(scale_by_range(data.x)), y_scale(scale_by_size(data.y)), range(data.x.maxCoeff() - x_scale.origin),
        x(x_scale.to(data.x)), y(y_scale.to(data.y)) {}

  Scale x_scale, y_scale;
  double range;
  Column x, y;
};

/// A fitted curve, in the units of the data: NaN where the kernel reaches no point.
struct Curve {
  std::string name, style;
  double bandwidth = 0;
  double error = 0;
  double mean_support = 0;
  Column values;
};

/// The problem that each kernel solves; grid and bandwidths are scaled as the data are.
struct Task {
  Scaled data;
  Column grid;
  std::vector<double> bandwidths;
  std::vector<Curve> curves;
  std::vector<std::string> left_out;  ///< kernels without a bandwidth at which each point has a neighbour
};

template <Kernel K>
void fit_curve(const std::string& name, const char* style, const K& kernel, Task& task) {
  const Scaled& data = task.data;
  std::optional<KernelRegression<K>> model;
  try {
    model = KernelRegression<K>::fit(kernel, data.x, data.y, task.bandwidths);
  } catch (const std::invalid_argument&) {
    task.left_out.push_back(name);
    return;
  }
  const Prediction<double> on_grid = model->predict(task.grid);
  Curve curve{name,
              style,
              model->bandwidth() * data.x_scale.unit,
              model->leave_one_out_error() * data.y_scale.unit * data.y_scale.unit,
              model->predict(data.x).mean_support,
              data.y_scale.from(on_grid.values)};
  for (const Index i : on_grid.empty_rows) curve.values(i) = std::nan("");
  task.curves.push_back(std::move(curve));
}

std::string rounded(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

/// The script holds its data, so that it can be drawn again elsewhere.
std::string script(const std::string& stem, const Data& data, const Task& task) {
  using gnuplot::label, gnuplot::number, gnuplot::literal;
  std::string text = "# Points and kernel regressions, each at its leave-one-out bandwidth.\nset encoding utf8\n$points << EOD\n";
  for (Index i = 0; i < data.x.size(); ++i) text += number(data.x(i)) + " " + number(data.y(i)) + "\n";
  text += "EOD\n$curves << EOD\n";
  const Column xs = task.data.x_scale.from(task.grid);
  for (Index i = 0; i < task.grid.size(); ++i) {
    text += number(xs(i));
    for (const Curve& curve : task.curves) text += " " + number(curve.values(i));
    text += "\n";
  }
  text += "EOD\n"
          "set border 3 lc rgb '#555555'\nset tics nomirror out tc rgb '#333333'\n"
          "set grid lc rgb '#e4e4e4' lw 1 dt 1\n"
          "set key bottom right Left reverse samplen 2.5 spacing 1.2 tc rgb '#333333'\n" +
          tics("x", data.x) + tics("y", data.y) + "set xlabel " + label(data.x_name) +
          " tc rgb '#333333'\nset ylabel " + label(data.y_name) +
          " tc rgb '#333333'\nset offsets graph 0.01, graph 0.01, graph 0.04, graph 0.04\n";
  std::string plot = "plot $points using 1:2 with points pt 7 ps 0.6 lc rgb '#c3b6a6' title 'data'";
  for (std::size_t k = 0; k < task.curves.size(); ++k) {
    const Curve& curve = task.curves[k];
    plot += ", \\\n    $curves using 1:" + std::to_string(k + 2) + " with lines " + curve.style + " title " +
            label(curve.name + ", h = " + rounded("%.3g", curve.bandwidth));
  }
  // Names of columns may hold what an enhanced terminal takes for markup.
  for (const auto& [ending, terminal] : {std::pair{".svg", "svg noenhanced size 900,540 background 'white' font 'Helvetica,14'"},
                                         {".png", "pngcairo noenhanced size 1800,1080 font 'Helvetica,14' fontscale 1.8 lw 1.8 ps 1.8"}}) {
    // A name that begins with | would be a command.
    text += std::string("set terminal ") + terminal + "\nset output " + literal("./" + stem + ending) + "\n" + plot + "\nunset output\n";
  }
  return text;
}

}  // namespace

void compare(const CompareOptions& o) {
  const Data data = read_data(o.data, o.x, o.y);
  const std::string what = "--data " + o.data;
  Task task{Scaled(data), {}, {}, {}, {}};
  if (!(task.data.range > 0)) refuse(what + ": all points have the same " + data.x_name);
  if (!std::isfinite(task.data.range)) refuse(what + ": " + data.x_name + " spans too much");
  if (o.output_dir) program::make_folder(*o.output_dir, "--output-dir " + *o.output_dir);
  const double range = task.data.x.maxCoeff();
  task.grid = Column::LinSpaced(481, 0.0, range);
  // From 1/100 of the range to all of it, in steps of 2 percent.
  for (double h = range / 100.0; h <= range; h *= 1.02) task.bandwidths.push_back(h);

  // The smooth kernels nearly agree: wide and pale below, thin and dark on top, so that all are seen.
  fit_curve("uniform", "lw 1.2 lc rgb '#9a9a9a'", Uniform{}, task);
  fit_curve("Epanechnikov", "lw 2 lc rgb '#e08214'", Epanechnikov{}, task);
  fit_curve("biweight", "lw 6 lc rgb '#a6cee3'", Biweight{}, task);
  fit_curve("triweight", "lw 2 lc rgb '#1f5fa8'", Triweight{}, task);
  fit_curve("Gaussian", "lw 2 dt 3 lc rgb '#111111'", Gaussian{}, task);

  std::printf("%td points; bandwidth by leave-one-out over %zu candidates\n", data.x.size(), task.bandwidths.size());
  if (!data.left_out.empty()) {
    std::printf("left out: %zu\n", data.left_out.size());
    for (const std::string& row : data.left_out) std::printf("  %s\n", row.c_str());
  }
  std::printf("\n%-13s %11s %20s %13s\n", "kernel", "bandwidth", "leave-one-out error", "mean support");
  for (const Curve& curve : task.curves) {
    std::printf("%-13s %11.4g %20.5g %13.1f\n", curve.name.c_str(), curve.bandwidth, curve.error, curve.mean_support);
  }
  for (const std::string& kernel : task.left_out) {
    std::printf("%-13s left out: at each candidate some point has no other within the bandwidth\n", kernel.c_str());
  }
  program::flush_standard_output();
  if (!o.output_dir) return;
  const std::string stem = std::filesystem::path(o.data).stem().string();
  if (!gnuplot::draw(*o.output_dir, "regression.gp", script(stem, data, task), {stem + ".svg", stem + ".png"},
                     "--output-dir " + *o.output_dir)) {
    refuse("--output-dir " + *o.output_dir + ": " + gnuplot::advice(*o.output_dir, "regression.gp"));
  }
}

}  // namespace regression
