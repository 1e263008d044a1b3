#include "band_picture.hpp"

#include "tics.hpp"

#include "../support/gnuplot.hpp"
#include "../support/usage.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace regression {
namespace {

using gnuplot::label, gnuplot::literal, gnuplot::number;
using nadaraya::Index;
using Matrix = nadaraya::RowMatrix<double>;

double median(Eigen::VectorXd column) {
  const auto middle = column.begin() + column.size() / 2;
  std::nth_element(column.begin(), middle, column.end());
  return *middle;
}

/// The first of the most frequent numbers.
double mode(Eigen::VectorXd column) {
  std::sort(column.begin(), column.end());
  double best = column(0);
  Index most = 0;
  for (auto at = column.begin(); at != column.end();) {
    const auto end = std::upper_bound(at, column.end(), *at);
    if (end - at > most) {
      most = end - at;
      best = *at;
    }
    at = end;
  }
  return best;
}

/// Points of a panel that are drawn: a picture holds no more that can be told apart.
constexpr Index most_points = 5000;

std::string block(const std::string& name, const Matrix& table) {
  std::string text = "$" + name + " << EOD\n";
  for (Index i = 0; i < table.rows(); ++i) {
    for (Index d = 0; d < table.cols(); ++d) text += (d == 0 ? "" : " ") + number(table(i, d));
    text += "\n";
  }
  return text + "EOD\n";
}

std::string ending_of(const std::string& path) { return std::filesystem::path(path).extension().string(); }

}  // namespace

void require_picture_name(const std::string& path) {
  const std::string ending = ending_of(path);
  if (ending != ".svg" && ending != ".png") program::refuse("--plot " + path + ": it must end in .svg or .png");
}

void draw_bands(const std::string& path, const std::vector<std::string>& names, const std::vector<nadaraya::ColumnKind>& kinds,
                const Matrix& numbers, const std::string& interval, const std::function<Band(const Matrix&)>& predict) {
  require_picture_name(path);
  const std::filesystem::path file(path);
  const Index predictors = numbers.cols() - 1, n = numbers.rows();
  Eigen::RowVectorXd middle(predictors);
  std::vector<Index> drawn;
  for (Index d = 0; d < predictors; ++d) {
    const bool continuous = kinds[static_cast<std::size_t>(d)] == nadaraya::ColumnKind::continuous;
    middle(d) = continuous ? median(numbers.col(d)) : mode(numbers.col(d));
    if (continuous) drawn.push_back(d);
  }
  if (drawn.empty()) program::refuse("--plot " + path + ": a picture needs a predictor without categories");
  const auto panels = static_cast<Index>(drawn.size());

  const Index step = (n + most_points - 1) / most_points;
  Matrix points((n + step - 1) / step, numbers.cols());
  for (Index i = 0; i < points.rows(); ++i) points.row(i) = numbers.row(i * step);
  std::string text = "# A regression with its intervals.\nset encoding utf8\n" + block("points", points);
  for (const Index d : drawn) {
    constexpr Index steps = 241;
    Matrix queries = middle.replicate(steps, 1);
    queries.col(d) = Eigen::VectorXd::LinSpaced(steps, numbers.col(d).minCoeff(), numbers.col(d).maxCoeff());
    const Band band = predict(queries);
    Matrix curve(steps, 4);
    curve << queries.col(d), band.fit, band.lower, band.upper;
    text += block("curve" + std::to_string(d + 1), curve);
  }
  text += "set border 3 lc rgb '#555555'\nset tics nomirror out tc rgb '#333333'\nset grid lc rgb '#e4e4e4' lw 1 dt 1\n"
          "set key top left Left reverse samplen 2 tc rgb '#333333'\nset style fill solid 0.35 noborder\nset ylabel " +
          label(names.back()) + " tc rgb '#333333'\n";
  const Index across = panels == 1 ? 1 : panels <= 4 ? 2 : 3, down = (panels + across - 1) / across;
  const Index width = panels == 1 ? 900 : 480 * across, height = panels == 1 ? 540 : 340 * down;
  const std::string size = std::to_string(width) + "," + std::to_string(height);
  // Names of columns may hold what an enhanced terminal takes for markup.
  text += std::string("set terminal ") + (ending_of(path) == ".svg" ? "svg background 'white' " : "pngcairo ") + "noenhanced size " + size +
          " font 'Helvetica,13'\nset output " + literal("./" + file.filename().string()) + "\n";
  if (panels > 1) {
    text += "unset key\nset multiplot layout " + std::to_string(down) + "," + std::to_string(across) + " title " +
            literal("Fit and " + interval + " along each predictor, the others at their medians" +
                    (panels < predictors ? " and most frequent categories" : "")) + "\n";
  }
  if (panels == 1 && predictors > 1) text += "set title 'At the most frequent categories' tc rgb '#333333'\n";
  for (const Index d : drawn) {
    const std::string curve = "$curve" + std::to_string(d + 1);
    text += "unset format\nset xtics autofreq\n" + tics("x", numbers.col(d)) + tics("y", numbers.col(predictors)) + "set xlabel " +
            label(names[static_cast<std::size_t>(d)]) + " tc rgb '#333333'\nplot " + curve + " using 1:3:4 with filledcurves lc rgb '#7fb3d8' title " +
            literal(interval) + ", \\\n    $points using " + std::to_string(d + 1) + ":" +
            std::to_string(predictors + 1) + " with points pt 7 ps 0.5 lc rgb '#b3a593' notitle, \\\n    " + curve +
            " using 1:2 with lines lw 2.5 lc rgb '#1f5fa8' title 'fit'\n";
  }
  text += panels > 1 ? "unset multiplot\nunset output\n" : "unset output\n";
  const std::string folder = file.parent_path().empty() ? "." : file.parent_path().string();
  const std::string script = file.stem().string() + ".gp", what = "--plot " + path;
  if (!gnuplot::draw(folder, script, text, {file.filename().string()}, what)) {
    program::refuse(what + ": " + gnuplot::advice(folder, script));
  }
}

}  // namespace regression
