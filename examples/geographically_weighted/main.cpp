// geographically_weighted: geographically weighted regression (Brunsdon, Fotheringham and Charlton 1996) of generated prices of
// houses. At every place s, y = beta(s)' z is fitted to the k nearest places by least squares with biweight weights of the
// distance: coefficients that vary over a map. k is the one of the least leave-one-out error.
#include "../support/files.hpp"
#include "../support/gnuplot.hpp"
#include "../support/main.hpp"
#include "../support/usage.hpp"

#include <nadaraya/nadaraya.hpp>

#include <Eigen/Cholesky>
#include <Eigen/SparseCore>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace nadaraya;
using Matrix = RowMatrix<double>;
using Weights = Eigen::SparseMatrix<double, Eigen::RowMajor>;

constexpr double pi = 3.14159265358979323846;

/// The coefficients at a place of the unit square: of 1, of the size of a house, and of its age.
Eigen::RowVector3d truth(double east, double north) {
  const double wave = std::sin(8 * pi * east) * std::sin(8 * pi * north);
  return {3 + wave, 1 + 0.4 * wave + std::exp(-40 * (std::pow(east - 0.6, 2) + std::pow(north - 0.4, 2))), std::cos(4 * pi * (east + north))};
}

struct Houses {
  Matrix places;      ///< [N x 2]
  Matrix predictors;  ///< [N x 3]: 1, size, age
  Eigen::VectorXd price;

  explicit Houses(Index n) : places(n, 2), predictors(n, 3), price(n) {
    std::mt19937_64 engine(1);
    const auto uniform = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
    for (Index i = 0; i < n; ++i) {
      places.row(i) << uniform(), uniform();
      predictors.row(i) << 1, 2 * uniform() - 1, 2 * uniform() - 1;
      const double noise = uniform() + uniform() + uniform() + uniform() - 2;  // standard deviation 0.58
      price(i) = truth(places(i, 0), places(i, 1)).dot(predictors.row(i)) + noise;
    }
  }
};

/// A line of progress, where standard error is a terminal.
void show(const std::string& what) {
  if (isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K%s", what.c_str());
}

/// The coefficients by the weights of one place, house `left_out` (-1: none) not counted. A ridge of 1e-9 of the mean square keeps
/// a place with too few houses finite.
Eigen::Vector3d coefficients(const Houses& houses, const Weights& weights, Index row, Index left_out) {
  Eigen::Matrix3d square = Eigen::Matrix3d::Zero();
  Eigen::Vector3d product = Eigen::Vector3d::Zero();
  for (Weights::InnerIterator entry(weights, row); entry; ++entry) {
    if (entry.col() == left_out) continue;
    const Eigen::Vector3d z = houses.predictors.row(entry.col()).transpose();
    square += entry.value() * z * z.transpose();
    product += entry.value() * houses.price(entry.col()) * z;
  }
  square.diagonal().array() += 1e-9 * square.trace();
  return square.ldlt().solve(product);
}

/// Geographically weighted regression with the k nearest places.
class Regression {
 public:
  Regression(const Houses& houses, Index k, int threads)
      : houses_(houses), op_{Biweight{}, NearestNeighbors{k}, SquaredDistance{}}, threads_{threads} {}

  /// visit(i, weights, row) for each place, in chunks that fit into memory.
  template <class Visit>
  void for_weights(const Matrix& places, const std::string& what, const Visit& visit) const {
    constexpr Index chunk = 1000;
    for (Index first = 0; first < places.rows(); first += chunk) {
      show(what + " " + std::to_string(100 * first / places.rows()) + " %");
      const Index count = (std::min)(chunk, places.rows() - first);
      const Weights weights = op_.weights(places.middleRows(first, count), houses_.places, threads_);
      for (Index row = 0; row < count; ++row) visit(first + row, weights, row);
    }
    show("");
  }

  /// beta [places x 3]
  Matrix coefficients_at(const Matrix& places) const {
    Matrix beta(places.rows(), 3);
    for_weights(places, "coefficients", [&](Index i, const Weights& weights, Index row) {
      beta.row(i) = coefficients(houses_, weights, row, -1).transpose();
    });
    return beta;
  }

  /// The mean squared error at every `step`-th house, without itself.
  double leave_one_out_error(Index step) const {
    const Index count = houses_.places.rows() / step;
    Matrix places(count, 2);
    for (Index i = 0; i < count; ++i) places.row(i) = houses_.places.row(i * step);
    double sum = 0;
    for_weights(places, "leave-one-out", [&](Index i, const Weights& weights, Index row) {
      const Eigen::Vector3d beta = coefficients(houses_, weights, row, i * step);
      sum += std::pow(houses_.price(i * step) - houses_.predictors.row(i * step).dot(beta), 2);
    });
    return sum / static_cast<double>(count);
  }

 private:
  const Houses& houses_;
  NadarayaWatson<Biweight, NearestNeighbors, SquaredDistance> op_;
  Threads threads_;
};

/// The coefficient of size, fitted and true, over the map.
std::string script(const Matrix& places, const Matrix& beta, Index side) {
  std::string text = "# The coefficient of size over the map.\nset encoding utf8\n$map << EOD\n";
  for (Index i = 0; i < places.rows(); ++i) {
    text += gnuplot::number(places(i, 0)) + " " + gnuplot::number(places(i, 1)) + " " + gnuplot::number(beta(i, 1)) + " " +
            gnuplot::number(truth(places(i, 0), places(i, 1))(1)) + "\n";
    if ((i + 1) % side == 0) text += "\n";
  }
  text += "EOD\nset terminal pngcairo size 1000,470 font 'Helvetica,12'\nset output './coefficient.png'\n"
          "set multiplot layout 1,2\nset palette defined (0 '#f7fbff', 0.5 '#6baed6', 1 '#08306b')\nset cbrange [0.5:2.5]\n"
          "set xrange [0:1]\nset yrange [0:1]\nset size square\nset tics out nomirror\nset xlabel 'east'\nset ylabel 'north'\nunset key\n";
  for (const auto& [column, title] : {std::pair{"3", "fitted"}, {"4", "true"}}) {
    text += "set title 'coefficient of size, " + std::string(title) + "'\nplot $map using 1:2:" + column + " with image\n";
  }
  return text + "unset multiplot\nunset output\n";
}

void run(Index n, int threads, const std::optional<std::string>& folder) {
  if (n < 100 || n > 1000000) program::refuse("--places must be from 100 to 1000000");
  program::check_threads(threads);
  if (folder) program::make_folder(*folder, "--output-dir " + *folder);
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const Houses houses(n);
  Index best = 0;
  double least = std::numeric_limits<double>::infinity();
  std::printf("%td places\n\n%10s %20s\n", n, "neighbors", "leave-one-out error");
  for (Index k = 25; k <= n / 4 && k <= 800; k *= 2) {
    const double error = Regression(houses, k, threads).leave_one_out_error((std::max<Index>)(1, n / 2000));
    std::printf("%10td %20.5f\n", k, error);
    if (error < least) {
      least = error;
      best = k;
    }
  }
  const double chosen = seconds();
  const Regression regression(houses, best, threads);
  const Matrix beta = regression.coefficients_at(houses.places);
  std::printf("\n%td neighbors; root mean square of fitted minus true coefficients:", best);
  Matrix exact(n, 3);
  for (Index i = 0; i < n; ++i) exact.row(i) = truth(houses.places(i, 0), houses.places(i, 1));
  for (Index d = 0; d < 3; ++d) std::printf(" %.3f", std::sqrt((beta - exact).col(d).squaredNorm() / static_cast<double>(n)));
  std::printf("\nneighbors chosen in %.1f s, coefficients at all places in %.1f s\n", chosen, seconds() - chosen);
  program::flush_standard_output();
  if (!folder) return;
  constexpr Index side = 150;
  Matrix map(side * side, 2);
  for (Index i = 0; i < map.rows(); ++i) {
    map.row(i) << (static_cast<double>(i % side) + 0.5) / side, (static_cast<double>(i / side) + 0.5) / side;
  }
  if (!gnuplot::draw(*folder, "coefficient.gp", script(map, regression.coefficients_at(map), side), {"coefficient.png"},
                     "--output-dir " + *folder)) {
    program::refuse("--output-dir " + *folder + ": " + gnuplot::advice(*folder, "coefficient.gp"));
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Geographically weighted regression of generated prices of houses: coefficients that vary over a map."};
  Index places = 100000;
  int threads = program::default_threads();
  std::optional<std::string> folder;
  app.add_option("--places", places, "how many houses")->capture_default_str();
  app.add_option("--threads", threads, "threads; default all processors");
  app.add_option("--output-dir", folder, "where to draw the map of a coefficient, as PNG; needs gnuplot");
  return program::run_main("geographically_weighted", app, argc, argv, [&] {
    run(places, threads, folder);
    return 0;
  });
}
