// Some columns of a data file as a matrix.
#pragma once

#include "levels.hpp"
#include "table.hpp"

#include "../support/usage.hpp"

#include <nadaraya/types.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regression {

/// The rows in which none of the columns is missing.
struct Rows {
  nadaraya::RowMatrix<double> numbers;  ///< [rows x columns]
  std::vector<std::string> left_out;    ///< for each other row: why
};

/// The categories of the columns that hold names, by their places in a list of columns.
using NamedColumns = std::map<std::size_t, Levels>;

/// What to do with a row in which a number is missing.
enum class Missing { refuse, drop };

/// Throws program::UsageError, which names the line and the column, for a cell that is neither missing nor a finite number, and with
/// Missing::refuse for a missing one. In the named columns, which learn new names, any text is a category.
inline Rows read_rows(const Table& table, const std::vector<std::size_t>& columns, Missing missing, NamedColumns& named) {
  Rows result;
  std::vector<double> numbers;
  nadaraya::Index rows = 0;
  for (const csv::Row& row : table.rows()) {
    table.require_whole(row);
    std::optional<std::size_t> without;
    const std::size_t before = numbers.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::size_t column = columns[i];
      const auto levels = named.find(i);
      const std::optional<double> number =
          levels == named.end() ? table.number(row, column) : table.category(row, column, levels->second);
      if (!number && !without) without = column;
      numbers.push_back(number.value_or(0.0));
    }
    if (!without) {
      ++rows;
      continue;
    }
    numbers.resize(before);
    result.left_out.push_back(table.missing(row, *without));
    if (missing == Missing::refuse) {
      program::refuse(table.what() + ": " + result.left_out.back() + ", where a number is needed; --missing drop leaves such rows out");
    }
  }
  result.numbers = Eigen::Map<const nadaraya::RowMatrix<double>>(numbers.data(), rows, static_cast<nadaraya::Index>(columns.size()));
  return result;
}

}  // namespace regression
