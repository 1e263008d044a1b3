// Local regression against locfit and KernSmooth of R: their curves at the same bandwidths, tests/data/regression.
#include "nadaraya/regression/local_regression.hpp"

#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace nadaraya;

namespace {

/// The Gaussian of KernSmooth, zero beyond four standard deviations: a kernel of one's own, in units of that distance.
struct CutGaussian {
  static constexpr bool compact = true;

  template <class Scalar>
  Scalar profile(const Scalar& t) const {
    return t > 0 ? std::exp(8 * (t - 1)) : Scalar(0);
  }
  template <class Scalar>
  Scalar derivative(const Scalar& t) const {
    return 8 * profile(t);
  }
};

struct Table {
  std::vector<std::string> names;
  RowMatrix<double> columns;

  explicit Table(const std::string& file) {
    std::ifstream stream(NADARAYA_TEST_DATA "/regression/" + file);
    std::vector<double> numbers;
    for (std::string line; std::getline(stream, line);) {
      if (line.empty() || line[0] == '#') continue;
      std::istringstream cells(line);
      for (std::string cell; std::getline(cells, cell, ',');) {
        if (cell[0] == '"') {
          names.push_back(cell.substr(1, cell.size() - 2));
        } else {
          numbers.push_back(std::stod(cell));
        }
      }
    }
    REQUIRE(names.size() > 3);
    const auto width = static_cast<Index>(names.size());
    columns = Eigen::Map<const RowMatrix<double>>(numbers.data(), static_cast<Index>(numbers.size()) / width, width);
  }
};

template <class K, class Bandwidth>
Eigen::VectorXd curve(const K& kernel, const Bandwidth& bandwidth, const RowMatrix<double>& x, const RowMatrix<double>& y, int degree) {
  const LocalRegression<K> model(kernel, bandwidth, x, y, {.degree = degree});
  return model.predict(x).values.col(0);
}

/// The curve that a column's name tells.
Eigen::VectorXd curve(const std::string& name, const RowMatrix<double>& x, const RowMatrix<double>& y) {
  std::istringstream words(name);
  std::string package, kernel, word;
  int degree = 0;
  words >> package >> kernel >> degree;
  std::vector<double> numbers;
  bool nearest = false;
  while (words >> word) {
    if (word == "nearest") {
      nearest = true;
    } else {
      numbers.push_back(std::stod(word));
    }
  }
  // The distance to the k-th point is that to the (k - 1 + 1)-th.
  if (nearest) return curve(Biweight{}, NearestNeighbors{static_cast<Index>(numbers[0]) - 1}, x, y, degree);
  const Eigen::VectorXd h = Eigen::Map<const Eigen::VectorXd>(numbers.data(), static_cast<Index>(numbers.size()));
  if (package == "KernSmooth") return curve(CutGaussian{}, Eigen::VectorXd(4 * h), x, y, degree);
  if (kernel == "gaussian") return curve(Gaussian{}, h, x, y, degree);
  if (kernel == "epanechnikov") return curve(Epanechnikov{}, h, x, y, degree);
  return curve(Biweight{}, h, x, y, degree);
}

void check_curves(const std::string& file, Index predictors, std::size_t curves) {
  const Table table(file);
  const RowMatrix<double> x = table.columns.leftCols(predictors), y = table.columns.col(predictors);
  const double size = y.cwiseAbs().maxCoeff();
  REQUIRE(table.names.size() == static_cast<std::size_t>(predictors) + 1 + curves);
  for (auto i = static_cast<std::size_t>(predictors) + 1; i < table.names.size(); ++i) {
    const Eigen::VectorXd theirs = table.columns.col(static_cast<Index>(i)), ours = curve(table.names[i], x, y);
    CAPTURE(file, table.names[i], (ours - theirs).cwiseAbs().maxCoeff() / size);
    for (Index row = 0; row < x.rows(); ++row) REQUIRE(std::abs(ours(row) - theirs(row)) <= 1e-6 * size);
  }
}

}  // namespace

TEST_CASE("local fits are those of locfit and KernSmooth", "[regression]") {
  check_curves("mcycle.csv", 1, 11);
  check_curves("faithful.csv", 1, 11);
  check_curves("ethanol.csv", 2, 9);
  check_curves("five.csv", 5, 6);
}
