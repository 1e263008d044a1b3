// regression: kernel regression of a two-column data file with five kernels, each with the
// bandwidth that leave-one-out chooses; a table, and a picture drawn by gnuplot.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/regression.hpp>

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace nadaraya;
using Column = Eigen::VectorXd;

struct Data {
  std::string x_name = "x";
  std::string y_name = "y";
  Column x;
  Column y;
};

/// Two numbers a line, separated by a comma; lines that start with # are skipped; the first other
/// line may name the columns.
Data read_csv(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  Data data;
  std::vector<double> x, y;
  std::string line;
  bool named = false;
  for (int number = 1; std::getline(file, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    double x_i = 0, y_i = 0;
    char comma = 0;
    if (fields >> x_i >> comma >> y_i && comma == ',' && (fields >> std::ws).eof()) {
      x.push_back(x_i);
      y.push_back(y_i);
    } else if (x.empty() && !named && line.find(',') != std::string::npos) {
      named = true;
      data.x_name = line.substr(0, line.find(','));
      data.y_name = line.substr(line.find(',') + 1);
    } else {
      throw std::runtime_error(path + ":" + std::to_string(number) + ": expected two numbers and a comma");
    }
  }
  if (x.size() < 3) throw std::runtime_error(path + ": needs at least 3 points");
  data.x = Eigen::Map<const Column>(x.data(), static_cast<Index>(x.size()));
  data.y = Eigen::Map<const Column>(y.data(), static_cast<Index>(y.size()));
  return data;
}

/// A fitted curve: NaN where the kernel reaches no point.
struct Curve {
  std::string name;
  double bandwidth = 0;
  double error = 0;
  double mean_support = 0;
  Column values;
};

template <Kernel K>
Curve fit_curve(const std::string& name, const K& kernel, const Data& data, const Column& grid,
                const std::vector<double>& bandwidths) {
  const auto model = KernelRegression<K>::fit(kernel, data.x, data.y, bandwidths);
  const Prediction<double> on_grid = model.predict(grid);
  Curve curve{name, model.bandwidth(), model.leave_one_out_error(), model.predict(data.x).mean_support, on_grid.values};
  for (const Index i : on_grid.empty_rows) curve.values(i) = std::nan("");
  return curve;
}

/// The script holds its data, so that it can be drawn again elsewhere.
void write_script(const std::filesystem::path& path, const std::string& stem, const Data& data, const Column& grid,
                  const std::vector<Curve>& curves) {
  // The smooth kernels nearly agree: wide and pale below, thin and dark on top, so that all are seen.
  const std::vector<const char*> styles{"lw 1.2 lc rgb '#9a9a9a'", "lw 2 lc rgb '#e08214'", "lw 6 lc rgb '#a6cee3'",
                                        "lw 2 lc rgb '#1f5fa8'", "lw 2 dt 3 lc rgb '#111111'"};
  std::ofstream script(path);
  script << "# Points and kernel regressions, each at its leave-one-out bandwidth.\n$points << EOD\n";
  for (Index i = 0; i < data.x.size(); ++i) script << data.x(i) << ' ' << data.y(i) << '\n';
  script << "EOD\n$curves << EOD\n";
  for (Index i = 0; i < grid.size(); ++i) {
    script << grid(i);
    for (const Curve& curve : curves) script << ' ' << curve.values(i);
    script << '\n';
  }
  script << "EOD\n"
            "set border 3 lc rgb '#555555'\nset tics nomirror out tc rgb '#333333'\n"
            "set grid lc rgb '#e4e4e4' lw 1 dt 1\n"
            "set key bottom right Left reverse samplen 2.5 spacing 1.2 tc rgb '#333333'\n"
         << "set xlabel \"" << data.x_name << "\" tc rgb '#333333'\nset ylabel \"" << data.y_name
         << "\" tc rgb '#333333'\nset offsets graph 0.01, graph 0.01, graph 0.04, graph 0.04\n"
            "draw = 1\ndo for [output in 'svg png'] {\n"
            "  if (output eq 'svg') { set terminal svg size 900,540 background 'white' font 'Helvetica,14' }\n"
            "  if (output eq 'png') { set terminal pngcairo size 1800,1080 font 'Helvetica,14' fontscale 1.8 lw 1.8 ps "
            "1.8 }\n"
         << "  set output '" << stem << ".'.output\n"
         << "  plot $points using 1:2 with points pt 7 ps 0.6 lc rgb '#c3b6a6' title 'data'";
  for (std::size_t k = 0; k < curves.size(); ++k) {
    char label[80];
    std::snprintf(label, sizeof label, "%s, h = %.2f", curves[k].name.c_str(), curves[k].bandwidth);
    script << ", \\\n    $curves using 1:" << k + 2 << " with lines " << styles[k % styles.size()] << " title '"
           << label << "'";
  }
  script << "\n  unset output\n}\n";
  if (!script.flush()) throw std::runtime_error("cannot write " + path.string());
}

void draw(const std::filesystem::path& folder, const std::string& stem, const Data& data, const Column& grid,
          const std::vector<Curve>& curves) {
  std::filesystem::create_directories(folder);
  write_script(folder / "regression.gp", stem, data, grid, curves);
  // From within the folder, so that no path needs quoting for the shell.
  std::filesystem::current_path(folder);
  if (std::system("gnuplot regression.gp") != 0) throw std::runtime_error("gnuplot could not draw regression.gp");
}

void run(const std::string& data_path, const std::string& output_folder) {
  const Data data = read_csv(data_path);
  const double first = data.x.minCoeff(), range = data.x.maxCoeff() - first;
  if (!(range > 0)) throw std::runtime_error(data_path + ": all points have the same " + data.x_name);
  const Column grid = Column::LinSpaced(481, first, first + range);
  std::vector<double> bandwidths;  // from 1/100 of the range to all of it, in steps of 2 percent
  for (double h = range / 100.0; h <= range; h *= 1.02) bandwidths.push_back(h);

  const std::vector<Curve> curves{fit_curve("uniform", Uniform{}, data, grid, bandwidths),
                                  fit_curve("Epanechnikov", Epanechnikov{}, data, grid, bandwidths),
                                  fit_curve("biweight", Biweight{}, data, grid, bandwidths),
                                  fit_curve("triweight", Triweight{}, data, grid, bandwidths),
                                  fit_curve("Gaussian", Gaussian{}, data, grid, bandwidths)};

  std::printf("%d points; bandwidth by leave-one-out over %d candidates\n\n", static_cast<int>(data.x.size()),
              static_cast<int>(bandwidths.size()));
  std::printf("%-13s %9s %20s %13s\n", "kernel", "bandwidth", "leave-one-out error", "mean support");
  for (const Curve& curve : curves) {
    std::printf("%-13s %9.3f %20.2f %13.1f\n", curve.name.c_str(), curve.bandwidth, curve.error, curve.mean_support);
  }
  if (!output_folder.empty()) {
    std::fflush(stdout);
    draw(output_folder, std::filesystem::path(data_path).stem().string(), data, grid, curves);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Kernel regression of a two-column data file, the bandwidth chosen by leave-one-out."};
  std::string data_path, output_folder;
  app.add_option("--data", data_path, "comma-separated file: x,y")->required();
  app.add_option("--output-dir", output_folder, "where to draw the picture, as SVG and PNG; needs gnuplot");
  try {
    app.parse(argc, argv);
    run(data_path, output_folder);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "regression: %s\n", error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "regression: %s\n", error.what());
  }
  return 2;
}
