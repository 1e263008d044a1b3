#include "history.hpp"

#include "../support/files.hpp"
#include "../support/gnuplot.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <numeric>
#include <string>

namespace program {
namespace {

constexpr std::ptrdiff_t recent_steps = 100;

/// The shortest that is read back as the same float.
std::string text(float value) {
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void replace(const std::string& folder, const std::string& name, const std::string& content) {
  write_file(folder + "/" + name, content, "--output-dir " + folder + ": " + name);
}

}  // namespace

double History::recent_loss() const {
  const std::ptrdiff_t n = std::min(recent_steps, std::ssize(training));
  return n == 0 ? 0.0 : std::accumulate(training.end() - n, training.end(), 0.0) / static_cast<double>(n);
}

void write_tables(const std::string& folder, const History& history) {
  std::string table = "step,loss\n";
  for (std::size_t i = 0; i < history.training.size(); ++i) {
    table += std::to_string(i) + "," + text(history.training[i]) + "\n";
  }
  replace(folder, "training.csv", table);
  table = "step,loss,mean_support,empty_share\n";
  for (const Validation& v : history.validation) {
    for (const float value : {v.step, v.loss, v.mean_support}) table += text(value) + ",";
    table += text(v.empty_share) + "\n";
  }
  replace(folder, "validation.csv", table);
}

bool draw_curve(const std::string& folder, const std::string& title) {
  const std::string script =
      "set output 'loss.svg'\nset terminal svg size 800,480 font 'sans,14' background '#ffffff'\n"
      "set datafile separator comma\nset title " + gnuplot::label(title) + " noenhanced\nset xlabel 'step'\nset ylabel 'loss, nats a token'\n"
      "set grid lc rgb '#dddddd'\nset logscale y\nset key top right\n"
      "plot 'training.csv' skip 1 with lines lc rgb '#bbbbbb' title 'training, batch by batch', \\\n"
      "  'validation.csv' skip 1 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#0072b2' title 'validation'\n";
  return gnuplot::draw(folder, "loss.gp", script, {"loss.svg"}, "--output-dir " + folder);
}

}  // namespace program
