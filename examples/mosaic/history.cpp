#include "history.hpp"

#include "safe_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>

namespace program {
namespace {

constexpr std::ptrdiff_t recent_steps = 100;

std::string text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.7g", value);
  return buffer;
}

void replace(const std::string& path, const std::string& content) {
  SafeFile file(path);
  file.write(content);
  file.commit();
}

/// As one word of the shell, whatever is in it.
std::string quoted(const std::string& word) {
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace

double History::recent_loss() const {
  const std::ptrdiff_t n = std::min(recent_steps, std::ssize(training));
  return n == 0 ? 0.0 : std::accumulate(training.end() - n, training.end(), 0.0) / static_cast<double>(n);
}

void write_tables(const std::string& folder, const History& history) {
  std::string table = "step,loss\n";
  for (std::size_t i = 0; i < history.training.size(); ++i) {
    table += std::to_string(i) + "," + text(static_cast<double>(history.training[i])) + "\n";
  }
  replace(folder + "/training.csv", table);
  table = "step,loss,mean_support,empty_share\n";
  for (const Validation& v : history.validation) {
    for (const float value : {v.step, v.loss, v.mean_support}) table += text(static_cast<double>(value)) + ",";
    table += text(static_cast<double>(v.empty_share)) + "\n";
  }
  replace(folder + "/validation.csv", table);
}

bool draw_curve(const std::string& folder, const std::string& title) {
  replace(folder + "/loss.gp",
          "set output 'loss.svg'\nset terminal svg size 800,480 font 'sans,14' background '#ffffff'\n"
          "set datafile separator comma\nset title '" + title + "'\nset xlabel 'step'\nset ylabel 'loss, nats a token'\n"
          "set grid lc rgb '#dddddd'\nset logscale y\nset key top right\n"
          "plot 'training.csv' skip 1 with lines lc rgb '#bbbbbb' title 'training, batch by batch', \\\n"
          "  'validation.csv' skip 1 with linespoints lw 2 pt 7 ps 0.5 lc rgb '#0072b2' title 'validation'\n");
  const std::string command = "cd " + quoted(folder) + " && gnuplot loss.gp > /dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

}  // namespace program
