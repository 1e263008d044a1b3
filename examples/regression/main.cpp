// regression: kernel regression of two columns of a data file with five kernels, each with the
// bandwidth that leave-one-out chooses; a table, and a picture drawn by gnuplot.
#include "data.hpp"

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

namespace {

using namespace nadaraya;
using program::refuse;
using regression::Column;
using regression::Data;

struct Options {
  std::string data;
  std::optional<std::string> x, y, output_dir;
};

/// The data with x from 0 on, both divided by powers of two: that rounds nothing but the difference, and squares of
/// neither overflow, underflow or cancel, be x seconds of a year 1970 or a length of atoms.
struct Scaled {
  explicit Scaled(const Data& data)
      : first(data.x.minCoeff()),
        range(data.x.maxCoeff() - first),
        x_unit(unit(range)),
        y_unit(unit(data.y.cwiseAbs().maxCoeff())),
        x((data.x.array() - first) / x_unit),
        y(data.y / y_unit) {}

  /// The greatest power of two up to a positive number; of subnormal ones, and 0, the least normal number.
  static double unit(double x) {
    return x >= std::numeric_limits<double>::min() ? std::ldexp(1.0, std::ilogb(x)) : std::numeric_limits<double>::min();
  }

  double first, range, x_unit, y_unit;
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
              model->bandwidth() * data.x_unit,
              model->leave_one_out_error() * data.y_unit * data.y_unit,
              model->predict(data.x).mean_support,
              on_grid.values * data.y_unit};
  for (const Index i : on_grid.empty_rows) curve.values(i) = std::nan("");
  task.curves.push_back(std::move(curve));
}

std::string rounded(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

/// Where gnuplot's own six digits do not tell tics apart: more digits, and along x, where they would run into each other,
/// fewer tics.
std::string tics(const std::string& axis, const Column& values) {
  const double most = values.cwiseAbs().maxCoeff(), range = values.maxCoeff() - values.minCoeff();
  const double digits = range > 0 ? std::log10(most / range) + 3.0 : 0.0;
  if (!(digits > 6.0)) return "";
  const std::string format =
      "set format " + axis + " \"%." + std::to_string(static_cast<int>(std::min(digits, 17.0))) + "g\"\n";
  if (axis != "x") return format;
  double step = std::pow(10.0, std::floor(std::log10(range / 4.0)));
  step *= range / 4.0 <= 2.0 * step ? 2.0 : range / 4.0 <= 5.0 * step ? 5.0 : 10.0;
  return format + "set xtics " + gnuplot::number(step) + "\n";
}

/// The script holds its data, so that it can be drawn again elsewhere.
std::string script(const std::string& stem, const Data& data, const Task& task) {
  using gnuplot::label, gnuplot::number, gnuplot::literal;
  std::string text = "# Points and kernel regressions, each at its leave-one-out bandwidth.\nset encoding utf8\n$points << EOD\n";
  for (Index i = 0; i < data.x.size(); ++i) text += number(data.x(i)) + " " + number(data.y(i)) + "\n";
  text += "EOD\n$curves << EOD\n";
  for (Index i = 0; i < task.grid.size(); ++i) {
    text += number(task.data.first + task.grid(i) * task.data.x_unit);
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

void run(const Options& o) {
  const Data data = regression::read_data(o.data, o.x, o.y);
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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Kernel regression of two columns of a data file, the bandwidth chosen by leave-one-out."};
  Options o;
  app.add_option("--data", o.data, "comma-separated file; the first row may name the columns")->required();
  app.add_option("--x", o.x, "column of x, its name or number; default the first of two");
  app.add_option("--y", o.y, "column of y, its name or number; default the second of two");
  app.add_option("--output-dir", o.output_dir, "where to draw the picture, as SVG and PNG; needs gnuplot");
  return program::run_main("regression", app, argc, argv, [&] {
    run(o);
    return 0;
  });
}
