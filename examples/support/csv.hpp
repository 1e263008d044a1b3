// Comma-separated values (RFC 4180), read and quoted by libcsv.
#pragma once

#include "usage.hpp"

#include <csv.h>

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace csv {

struct Row {
  std::size_t line = 1;  ///< where it begins, counted from 1
  std::vector<std::string> cells;
};

namespace detail {

class Reader {
 public:
  explicit Reader(std::string what) : what_(std::move(what)) {
    if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) != 0) program::refuse(what_ + ": it cannot be read");
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { csv_free(&parser_); }

  /// A line with its end, or the last one without. `line` counts from 1.
  void read(std::string_view text, std::size_t line) {
    const bool within = quotes_ % 2 != 0;
    if (!within) {
      row_.line = line;
      if (text[0] == '#') return;
    }
    for (const char c : text) quotes_ += c == '"' ? 1u : 0u;
    const std::size_t read = csv_parse(&parser_, text.data(), text.size(), end_cell, end_row, this);
    if (error_) std::rethrow_exception(error_);
    if (read != text.size()) refuse_quotes(line);
  }

  std::vector<Row> finish(std::size_t line) {
    const int failure = csv_fini(&parser_, end_cell, end_row, this);
    if (error_) std::rethrow_exception(error_);
    if (failure != 0) refuse_quotes(line);
    return std::move(rows_);
  }

 private:
  [[noreturn]] void refuse_quotes(std::size_t line) const {
    program::refuse(what_ + ": line " + std::to_string(line) + ": its quotation marks are not those of a CSV file");
  }

  // libcsv is C: no exception may pass through it.
  template <class Work>
  void guarded(const Work& work) noexcept {
    try {
      if (!error_) work();
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  static void end_cell(void* text, std::size_t size, void* self) {
    Reader& reader = *static_cast<Reader*>(self);
    reader.guarded([&] { reader.row_.cells.emplace_back(static_cast<const char*>(text), text == nullptr ? 0 : size); });
  }
  static void end_row(int, void* self) {
    Reader& reader = *static_cast<Reader*>(self);
    reader.guarded([&] {
      reader.rows_.push_back(std::move(reader.row_));
      reader.row_ = Row{};
    });
  }

  csv_parser parser_{};
  std::string what_;
  std::size_t quotes_ = 0;  // an odd number: within a quotation
  Row row_;
  std::vector<Row> rows_;
  std::exception_ptr error_;
};

}  // namespace detail

/// The rows of a file's content in UTF-8, with or without a byte-order mark. Empty lines and lines that begin with # are
/// left out. Blanks around a cell are not part of it, quotation marks neither. Throws program::UsageError, which begins with
/// `what`, where quotation marks are not in pairs around cells.
inline std::vector<Row> parse(std::string_view content, const std::string& what) {
  if (content.substr(0, 2) == "\xff\xfe" || content.substr(0, 2) == "\xfe\xff") {
    program::refuse(what + ": it is UTF-16; save it as UTF-8");
  }
  if (content.substr(0, 3) == "\xef\xbb\xbf") content.remove_prefix(3);
  detail::Reader reader(what);
  std::size_t line = 0;
  while (!content.empty()) {
    std::size_t end = content.find_first_of("\r\n");
    end = end == std::string_view::npos ? content.size() : end + (content.substr(end, 2) == "\r\n" ? 2 : 1);
    reader.read(content.substr(0, end), ++line);
    content.remove_prefix(end);
  }
  return reader.finish(line);
}

/// A cell within quotation marks, whatever it holds.
inline std::string quoted(std::string_view cell) {
  std::string result(csv_write(nullptr, 0, cell.data(), cell.size()), '\0');
  csv_write(result.data(), result.size(), cell.data(), cell.size());
  return result;
}

}  // namespace csv
