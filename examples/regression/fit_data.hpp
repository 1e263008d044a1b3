// The data of a fit: the columns of a file that its options name, and the places to predict at.
#pragma once

#include "fit_options.hpp"
#include "rows.hpp"

#include "../support/chosen_regression.hpp"

#include <nadaraya/regression/columns.hpp>
#include <nadaraya/types.hpp>

#include <nlohmann/json.hpp>

#include <Eigen/Core>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace regression {

/// What the response holds.
enum class Response { numbers, classes };

struct FitData {
  std::vector<std::string> names;            ///< of the predictors, then of the response
  std::vector<nadaraya::ColumnKind> kinds;   ///< of the predictors
  NamedColumns named;                        ///< of predictors, and of the response if it holds classes
  nadaraya::RowMatrix<double> numbers;       ///< [N x predictors + 1], the response last
  Eigen::VectorXd weights;                   ///< [N], or empty
  std::vector<std::string> left_out;         ///< for each row that is left out: why
  nadaraya::RowMatrix<double> at;            ///< predictors of the predictions

  nadaraya::Index predictors() const { return numbers.cols() - 1; }
};

/// Reads them. Throws program::UsageError.
FitData read_fit_data(const FitOptions& options, Response response);

/// Is a bandwidth chosen by a criterion, whose name it is?
bool is_criterion(const std::string& bandwidth);

/// Throws program::UsageError.
program::RegressionOptions regression_options(const FitOptions& options, const FitData& data);

/// The part of a summary that tells the data and the kernel.
nlohmann::ordered_json summary_of_data(const FitOptions& options, const FitData& data);

/// Prints the number of rows and the kernel, `more` on the same line, then the rows that are left out.
void print_data(const FitOptions& options, const FitData& data, const std::string& more);

/// A line "what   value".
void print_number(const std::string& what, double value);

/// A data file of the predictors of the predictions and what follows them: names, and the cells of row i.
std::string table_of_predictions(const FitData& data, const std::string& names, const std::function<std::string(nadaraya::Index)>& cells);

/// A number as a cell; NaN is an empty one.
std::string cell(double x);

}  // namespace regression
