// What a fit of one column of a data file on others is asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace regression {

struct FitOptions {
  std::string data, response;
  std::vector<std::string> predictors;  ///< none: all columns but the response that have a name
  std::vector<std::string> unordered;   ///< predictors that hold the names of categories
  std::vector<std::string> ordered;     ///< predictors that hold the ranks of categories, numbers
  std::optional<std::string> weights;   ///< a column, positive
  std::string kernel = "biweight";
  std::optional<double> exponent;
  int degree = 1;
  std::string bandwidth = "loo";  ///< a criterion, or numbers with commas
  std::vector<long> neighbors;
  double ridge = 1e-10;
  std::string missing = "refuse";  ///< or "drop"
  double level = 0.95;
  std::string band = "pointwise";  ///< or "simultaneous"
  std::optional<std::string> predict, output, summary, plot;
  int threads = 1;
};

}  // namespace regression
