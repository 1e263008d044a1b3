// A file of comma-separated values as columns of numbers, by name where the file names them.
#pragma once

#include "levels.hpp"

#include "../support/csv.hpp"
#include "../support/files.hpp"
#include "../support/usage.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace regression {

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

}  // namespace detail

/// Throws program::UsageError, which begins with `what` and names the line and the column.
class Table {
 public:
  Table(const std::string& path, std::string what) : what_(std::move(what)), rows_(csv::parse(program::read_file(path, what_), what_)) {
    if (rows_.empty()) program::refuse(what_ + ": it holds no numbers");
    columns_ = rows_[0].cells.size();
    if (!detail::names_columns(rows_[0])) return;
    names_ = rows_[0].cells;
    rows_.erase(rows_.begin());
  }

  const std::string& what() const { return what_; }
  const std::vector<csv::Row>& rows() const { return rows_; }
  std::size_t columns() const { return columns_; }

  bool names_columns() const { return !names_.empty(); }
  bool has_name(std::size_t column) const { return !names_.empty() && !names_[column].empty(); }
  std::string name(std::size_t column) const { return has_name(column) ? names_[column] : "column " + std::to_string(column + 1); }

  /// " (a, b)", or nothing where columns have no names.
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

  void require_whole(const csv::Row& row) const {
    if (row.cells.size() == columns_) return;
    program::refuse(what_ + ": line " + std::to_string(row.line) + ": it has " + std::to_string(row.cells.size()) +
                    (row.cells.size() == 1 ? " cell" : " cells") + ", and the first row " + std::to_string(columns_));
  }

  /// A number, or nothing where it is missing. Anything else is refused.
  std::optional<double> number(const csv::Row& row, std::size_t column) const {
    const std::string& text = row.cells[column];
    const detail::Number read = detail::number(text);
    if (read.error == std::errc{}) return read.value;
    if (detail::missing(text)) return std::nullopt;
    program::refuse(what_ + ": " + place(row, column) + ": \"" + text + "\" is " +
                    (read.error == std::errc::invalid_argument ? "no number" : "out of range"));
  }

  /// The number of a category, or nothing where it is missing.
  std::optional<double> category(const csv::Row& row, std::size_t column, Levels& levels) const {
    const std::string& text = row.cells[column];
    return detail::missing(text) ? std::nullopt : std::optional(levels.number(text));
  }

  /// "line 3, a: NA"
  std::string missing(const csv::Row& row, std::size_t column) const {
    const std::string& text = row.cells[column];
    return place(row, column) + ": " + (text.empty() ? "empty" : text);
  }

 private:
  std::string place(const csv::Row& row, std::size_t column) const {
    return "line " + std::to_string(row.line) + ", " + name(column);
  }

  std::string what_;
  std::vector<csv::Row> rows_;
  std::size_t columns_ = 0;
  std::vector<std::string> names_;  // empty where the file has none
};

}  // namespace regression
