// Rows of an array in a .npy file, read and written without the others.
#pragma once

#include "npy.hpp"

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace npy {

/// An array [..., N, D] in a file, of which rows are read. Every read opens the file anew: many arrays may be in use at a time.
class RowFile {
 public:
  /// Reads the header. Throws Error where the file cannot be used, or is shorter or longer than its header says.
  explicit RowFile(std::string path) : path_(std::move(path)) {
    std::ifstream stream = detail::open(path_);
    header_ = detail::read_header(stream, detail::is_readable, detail::not_readable);
    if (header_.shape.size() < 2) throw Error("it has no rows");
    const std::streamoff begin = stream.tellg();
    stream.seekg(0, std::ios::end);
    const std::streamoff end = stream.tellg();
    if (begin < 0 || end < begin) throw Error("it cannot be read in parts");
    begin_ = static_cast<std::size_t>(begin);
    const std::size_t size = count(header_.shape, header_.type.size) * header_.type.size;
    const auto there = static_cast<std::size_t>(end - begin);
    if (there < size) throw Error("it is truncated");
    if (there > size) throw Error("it is longer than its shape");
  }

  const std::vector<std::size_t>& shape() const { return header_.shape; }
  /// Bytes of an element of the arrays that `rows` returns: 4 for 16-bit files as well.
  std::size_t item_size() const { return header_.type.is_sixteen_bits() ? 4 : header_.type.size; }

  /// Rows first, ..., first + n - 1 of every [N, D]: an array [..., n, D], of float32 for 16-bit files. Throws Error.
  Array rows(std::size_t first, std::size_t n) const {
    detail::Header part = header_;
    part.shape[part.shape.size() - 2] = n;
    std::vector<char> bytes(count(part.shape, part.type.size) * part.type.size);
    if (!bytes.empty()) read(first, n, bytes);
    detail::to_native(part, bytes);
    return detail::widened(detail::Numbers{part.type, std::move(part.shape), std::move(bytes)});
  }

 private:
  /// Both orders have the rows of a part in pieces of one length, one for each [N, D] or, in Fortran order, each column.
  void read(std::size_t first, std::size_t n, std::vector<char>& bytes) const {
    const std::size_t rank = header_.shape.size(), all = header_.shape[rank - 2], columns = header_.shape[rank - 1];
    std::size_t heads = header_.type.size;
    for (std::size_t d = 0; d + 2 < rank; ++d) heads *= header_.shape[d];
    const std::size_t row = header_.fortran_order ? heads : columns * header_.type.size;
    std::ifstream stream = detail::open(path_);
    for (std::size_t at = 0, piece = 0; at < bytes.size(); at += n * row, ++piece) {
      stream.seekg(static_cast<std::streamoff>(begin_ + (piece * all + first) * row));
      stream.read(&bytes[at], static_cast<std::streamsize>(n * row));
      if (!stream) throw Error("it cannot be read" + program::reason(errno));
    }
  }

  std::string path_;
  detail::Header header_;
  std::size_t begin_ = 0;  ///< of the first element in the file
};

/// A file of an array [..., N, D] whose rows several processes write, each its own.
class RowWriter {
 public:
  /// Makes the file in its full length, of zeros. Throws Error.
  static void make(const std::string& path, const std::vector<std::size_t>& shape, std::size_t item_size) {
    const std::string before = prologue(type(item_size), shape);
    errno = 0;
    std::ofstream stream(path, std::ios::binary);
    stream.write(before.data(), static_cast<std::streamsize>(before.size()));
    stream.close();
    std::error_code failure;
    if (stream) std::filesystem::resize_file(path, before.size() + count(shape, item_size) * item_size, failure);
    if (!stream || failure) throw Error("it cannot be written" + program::reason(stream ? failure.value() : errno));
  }

  /// A file that was made for this shape.
  RowWriter(std::string path, std::vector<std::size_t> shape, std::size_t item_size)
      : path_(std::move(path)), shape_(std::move(shape)), item_size_(item_size) {}

  /// Writes `rows`, [..., n, D], in the places of rows first, ..., first + n - 1. Throws Error.
  void write(std::size_t first, const Array& rows) const {
    const std::size_t rank = shape_.size(), row = shape_[rank - 1] * item_size_, n = rows.shape[rank - 2];
    const std::size_t begin = prologue(type(item_size_), shape_).size();
    errno = 0;
    std::fstream stream(path_, std::ios::binary | std::ios::in | std::ios::out);
    for (std::size_t at = 0, head = 0; at < rows.bytes.size(); at += n * row, ++head) {
      stream.seekp(static_cast<std::streamoff>(begin + (head * shape_[rank - 2] + first) * row));
      stream.write(&rows.bytes[at], static_cast<std::streamsize>(n * row));
    }
    stream.close();
    if (!stream) throw Error("it cannot be written" + program::reason(errno));
  }

 private:
  static const char* type(std::size_t item_size) { return item_size == 4 ? "<f4" : "<f8"; }

  std::string path_;
  std::vector<std::size_t> shape_;
  std::size_t item_size_;
};

}  // namespace npy
