// The points of a data file: two columns of numbers, by name where the file names them.
#pragma once

#include "../support/csv.hpp"
#include "../support/files.hpp"
#include "../support/usage.hpp"

#include <nadaraya/types.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace regression {

using nadaraya::Index;
using Column = Eigen::VectorXd;

struct Data {
  std::string x_name = "x", y_name = "y";
  Column x, y;
  std::vector<std::string> left_out;  ///< for each row without a point, and each column that was passed over: why
};

namespace detail {

/// Empty, or one of the words by which R, pandas and SQL say that there is no number.
inline bool missing(std::string_view cell) {
  std::string lower(cell);
  for (char& c : lower) c = 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const std::string_view word : {"", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "null", "none"}) {
    if (lower == word) return true;
  }
  return false;
}

struct Number {
  double value = 0;
  std::errc error{};  ///< invalid_argument: no number; result_out_of_range: one that a double cannot hold
};

/// Whatever the locale.
inline Number number(std::string_view cell) {
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  Number result;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), result.value);
  result.error = error;
  if (end != cell.data() + cell.size()) result.error = std::errc::invalid_argument;
  if (result.error == std::errc{} && !std::isfinite(result.value)) result.error = std::errc::result_out_of_range;
  return result;
}

/// The first row of a file names its columns if nothing in it is a number, or says that one is missing. A name may be empty.
inline bool names_columns(const csv::Row& row) {
  bool named = false;
  for (const std::string& cell : row.cells) {
    if (number(cell).error != std::errc::invalid_argument || (missing(cell) && !cell.empty())) return false;
    named = named || !cell.empty();
  }
  return named;
}

class Table {
 public:
  explicit Table(const std::string& path) : what_("--data " + path), rows_(csv::parse(program::read_file(path, what_), what_)) {
    if (rows_.empty()) program::refuse(what_ + ": it holds no numbers");
    columns_ = rows_[0].cells.size();
    if (!names_columns(rows_[0])) return;
    names_ = rows_[0].cells;
    rows_.erase(rows_.begin());
  }

  Data points(const std::optional<std::string>& x_choice, const std::optional<std::string>& y_choice) const {
    Data data;
    std::size_t x = 0, y = 1;
    if (x_choice || y_choice) {
      if (!x_choice || !y_choice) program::refuse("--x and --y go together");
      x = find("--x", *x_choice);
      y = find("--y", *y_choice);
    } else if (columns_ == 3 && !names_.empty() && names_[0].empty()) {
      data.left_out.push_back("the first column, which has no name");  // R and pandas write names of rows there
      x = 1;
      y = 2;
    } else if (columns_ != 2) {
      program::refuse(what_ + ": " + (columns_ == 1 ? "it has one column, and two, separated by commas, are needed"
                                                    : "it has " + std::to_string(columns_) + " columns" + list() +
                                                          "; choose two with --x and --y"));
    }
    if (!names_.empty()) {
      data.x_name = name(x);
      data.y_name = name(y);
    }
    std::vector<double> xs, ys;
    for (const csv::Row& row : rows_) {
      if (row.cells.size() != columns_) {
        program::refuse(at(row) + ": it has " + std::to_string(row.cells.size()) + (row.cells.size() == 1 ? " cell" : " cells") +
                        ", and the first row " + std::to_string(columns_));
      }
      const std::optional<double> x_i = cell(row, x, data), y_i = x_i || x == y ? cell(row, y, data) : std::nullopt;
      if (!x_i || !y_i) continue;
      xs.push_back(*x_i);
      ys.push_back(*y_i);
    }
    if (xs.size() < 3) {
      const std::string without = data.left_out.empty() ? "" : " (" + data.left_out.back() + ")";
      program::refuse(what_ + ": it has " + std::to_string(xs.size()) + (xs.size() == 1 ? " point" : " points") + without +
                      ", and at least 3 are needed");
    }
    data.x = Eigen::Map<const Column>(xs.data(), static_cast<Index>(xs.size()));
    data.y = Eigen::Map<const Column>(ys.data(), static_cast<Index>(ys.size()));
    return data;
  }

 private:
  std::string at(const csv::Row& row) const { return what_ + ": line " + std::to_string(row.line); }

  std::string name(std::size_t column) const {
    return !names_.empty() && !names_[column].empty() ? names_[column] : "column " + std::to_string(column + 1);
  }

  std::string list() const {
    std::string result;
    for (std::size_t i = 0; i < names_.size(); ++i) result += (i == 0 ? " (" : ", ") + name(i);
    return result + (names_.empty() ? "" : ")");
  }

  /// By name, or counted from 1.
  std::size_t find(const std::string& option, const std::string& choice) const {
    const auto named = std::find(names_.begin(), names_.end(), choice);
    if (named != names_.end()) return static_cast<std::size_t>(named - names_.begin());
    std::size_t place = 0;
    const auto [end, error] = std::from_chars(choice.data(), choice.data() + choice.size(), place);
    if (error != std::errc{} || end != choice.data() + choice.size() || place < 1 || place > columns_) {
      program::refuse(option + " " + choice + ": " + what_ + " has no such column" + list());
    }
    return place - 1;
  }

  /// A number, or nothing where it is missing: `data` then says so.
  std::optional<double> cell(const csv::Row& row, std::size_t column, Data& data) const {
    const std::string& text = row.cells[column];
    const Number read = number(text);
    if (read.error == std::errc{}) return read.value;
    const std::string place = "line " + std::to_string(row.line) + ", " + name(column) + ": ";
    if (missing(text)) {
      data.left_out.push_back(place + (text.empty() ? "empty" : text));
      return std::nullopt;
    }
    program::refuse(what_ + ": " + place + "\"" + text + "\" is " +
                    (read.error == std::errc::invalid_argument ? "no number" : "out of range"));
  }

  std::string what_;
  std::vector<csv::Row> rows_;
  std::size_t columns_ = 0;
  std::vector<std::string> names_;  // empty where the file has none
};

}  // namespace detail

/// Reads two columns of a CSV file. Rows in which one of them is missing are left out, and named in `left_out`; what is
/// neither missing nor a finite number is refused. Without a choice the file has two columns, or three the first of which has
/// no name. Throws program::UsageError, which names the option and the line.
inline Data read_data(const std::string& path, const std::optional<std::string>& x, const std::optional<std::string>& y) {
  return detail::Table(path).points(x, y);
}

}  // namespace regression
