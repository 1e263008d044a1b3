// The points of a data file: two columns of numbers.
#pragma once

#include "table.hpp"

#include "../support/usage.hpp"

#include <nadaraya/types.hpp>

#include <Eigen/Core>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace regression {

using nadaraya::Index;
using Column = Eigen::VectorXd;

struct Data {
  std::string x_name = "x", y_name = "y";
  Column x, y;
  std::vector<std::string> left_out;  ///< for each row without a point, and each column that was passed over: why
};

/// Reads two columns of a CSV file. Rows in which one of them is missing are left out, and named in `left_out`; what is
/// neither missing nor a finite number is refused. Without a choice the file has two columns, or three the first of which has
/// no name. Throws program::UsageError, which names the option and the line.
inline Data read_data(const std::string& path, const std::optional<std::string>& x_choice,
                      const std::optional<std::string>& y_choice) {
  const Table table(path, "--data " + path);
  Data data;
  std::size_t x = 0, y = 1;
  if (x_choice || y_choice) {
    if (!x_choice || !y_choice) program::refuse("--x and --y go together");
    x = table.find("--x", *x_choice);
    y = table.find("--y", *y_choice);
  } else if (table.columns() == 3 && table.names_columns() && !table.has_name(0)) {
    data.left_out.push_back("the first column, which has no name");  // R and pandas write names of rows there
    x = 1;
    y = 2;
  } else if (table.columns() != 2) {
    program::refuse(table.what() + ": " +
                    (table.columns() == 1 ? "it has one column, and two, separated by commas, are needed"
                                          : "it has " + std::to_string(table.columns()) + " columns" + table.list() +
                                                "; choose two with --x and --y"));
  }
  if (table.names_columns()) {
    data.x_name = table.name(x);
    data.y_name = table.name(y);
  }
  std::vector<double> xs, ys;
  for (const csv::Row& row : table.rows()) {
    table.require_whole(row);
    const std::optional<double> x_i = table.number(row, x);
    const std::optional<double> y_i = x_i ? table.number(row, y) : std::nullopt;
    if (!x_i || !y_i) {
      data.left_out.push_back(table.missing(row, x_i ? y : x));
      continue;
    }
    xs.push_back(*x_i);
    ys.push_back(*y_i);
  }
  if (xs.size() < 3) {
    const std::string without = data.left_out.empty() ? "" : " (" + data.left_out.back() + ")";
    program::refuse(table.what() + ": it has " + std::to_string(xs.size()) + (xs.size() == 1 ? " point" : " points") + without +
                    ", and at least 3 are needed");
  }
  data.x = Eigen::Map<const Column>(xs.data(), static_cast<Index>(xs.size()));
  data.y = Eigen::Map<const Column>(ys.data(), static_cast<Index>(ys.size()));
  return data;
}

}  // namespace regression
