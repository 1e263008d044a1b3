// Reading and writing NumPy's .npy files of float32 and float64.
// Format: numpy.lib.format, versions 1.0 to 3.0.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <istream>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace npy {

static_assert(std::endian::native == std::endian::little, "the reader takes little-endian files as they lie");

/// What is wrong with a file: the rest of a sentence that starts with the file's name.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// An array in C order. `bytes` holds its elements, 4 or 8 bytes each.
struct Array {
  std::vector<std::size_t> shape;
  std::size_t item_size = 8;
  std::vector<char> bytes;

  bool is_float32() const { return item_size == 4; }

  template <class Scalar>
  const Scalar* data() const {
    return reinterpret_cast<const Scalar*>(bytes.data());
  }
  template <class Scalar>
  Scalar* data() {
    return reinterpret_cast<Scalar*>(bytes.data());
  }
};

/// Number of elements. Throws Error when the sizes other than 0 multiply to more bytes than
/// std::ptrdiff_t can count: an index computed from any of them is then safe in signed arithmetic.
inline std::size_t count(const std::vector<std::size_t>& shape, std::size_t item_size) {
  const std::size_t limit = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / item_size;
  std::size_t product = 1;
  bool empty = false;
  for (const std::size_t n : shape) {
    empty = empty || n == 0;
    if (n == 0) continue;
    if (n > limit / product) throw Error("its shape overflows");
    product *= n;
  }
  return empty ? 0 : product;
}

template <class Scalar>
Array zeros(const std::vector<std::size_t>& shape) {
  return Array{shape, sizeof(Scalar), std::vector<char>(count(shape, sizeof(Scalar)) * sizeof(Scalar))};
}

namespace detail {

/// Exactly n bytes. Memory grows with what arrives, not with what a header announces.
inline std::vector<char> take(std::istream& stream, std::size_t n) {
  constexpr std::size_t first_step = std::size_t{1} << 20;
  std::vector<char> bytes;
  while (bytes.size() < n) {
    const std::size_t before = bytes.size();
    bytes.resize(before + std::min(n - before, std::max(before, first_step)));
    stream.read(bytes.data() + before, static_cast<std::streamsize>(bytes.size() - before));
    if (stream.bad()) throw Error("it cannot be read");
    if (!stream) throw Error("it is truncated");
  }
  return bytes;
}

/// A walk through the Python literal that is a file's header.
class Literal {
 public:
  explicit Literal(std::string_view text) : text_(text) {}

  /// Steps over a character if it comes next, blanks aside.
  bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) malformed();
  }

  std::string_view quoted() {
    const char quote = take('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) malformed();
    const std::string_view result = text_.substr(at_, end - at_);
    at_ = end + 1;
    return result;
  }

  bool boolean() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    malformed();
  }

  /// A tuple of sizes: (), (3,), (3, 4).
  std::vector<std::size_t> shape() {
    expect('(');
    std::vector<std::size_t> result;
    bool comma = true;
    while (!take(')')) {
      if (!comma) throw Error("its shape is malformed");
      result.push_back(size());
      if (result.size() > 32) throw Error("it has too many dimensions");
      comma = take(',');
    }
    if (result.size() == 1 && !comma) throw Error("its shape is malformed");
    return result;
  }

  void expect_end() {
    skip_blanks();
    if (at_ != text_.size()) malformed();
  }

  [[noreturn]] static void malformed() { throw Error("its header is malformed"); }

 private:
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }

  std::size_t size() {
    skip_blanks();
    const std::size_t start = at_;
    std::size_t value = 0;
    for (; at_ < text_.size() && '0' <= text_[at_] && text_[at_] <= '9'; ++at_) {
      const auto digit = static_cast<std::size_t>(text_[at_] - '0');
      if (value > (std::numeric_limits<std::size_t>::max() - digit) / 10) throw Error("its shape overflows");
      value = value * 10 + digit;
    }
    if (at_ == start) throw Error("its shape is malformed");
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

struct Header {
  std::size_t item_size = 0;
  bool fortran_order = false;
  std::vector<std::size_t> shape;
};

inline std::size_t item_size(Literal& literal) {
  // A list describes a record of several fields.
  const std::string_view type = literal.take('[') ? "record" : literal.quoted();
  if (type == "<f4") return 4;
  if (type == "<f8") return 8;
  throw Error("its elements are neither float32 nor float64, little-endian");
}

/// A dictionary of exactly the three keys, in any order.
inline Header parse_header(std::string_view text) {
  Literal literal(text);
  Header header;
  bool has_type = false, has_order = false, has_shape = false;
  literal.expect('{');
  bool comma = true;
  while (!literal.take('}')) {
    if (!comma) Literal::malformed();
    const std::string_view key = literal.quoted();
    literal.expect(':');
    if (key == "descr" && !has_type) {
      header.item_size = item_size(literal);
      has_type = true;
    } else if (key == "fortran_order" && !has_order) {
      header.fortran_order = literal.boolean();
      has_order = true;
    } else if (key == "shape" && !has_shape) {
      header.shape = literal.shape();
      has_shape = true;
    } else {
      Literal::malformed();
    }
    comma = literal.take(',');
  }
  literal.expect_end();
  if (!has_type || !has_order || !has_shape) Literal::malformed();
  return header;
}

/// Fortran order to C order: the last index comes to vary fastest.
inline void to_c_order(Array& array) {
  const std::size_t rank = array.shape.size();
  const std::vector<char> source = array.bytes;
  std::vector<std::size_t> index(rank, 0);
  std::vector<std::size_t> stride(rank, 1);
  for (std::size_t d = 1; d < rank; ++d) stride[d] = stride[d - 1] * array.shape[d - 1];
  const std::size_t total = count(array.shape, array.item_size);
  for (std::size_t n = 0; n < total; ++n) {
    std::size_t from = 0;
    for (std::size_t d = 0; d < rank; ++d) from += index[d] * stride[d];
    std::memcpy(&array.bytes[n * array.item_size], &source[from * array.item_size], array.item_size);
    for (std::size_t d = rank; d-- > 0;) {
      if (++index[d] < array.shape[d]) break;
      index[d] = 0;
    }
  }
}

}  // namespace detail

/// Reads a whole file; nothing may follow the array. Throws Error.
inline Array read(std::istream& stream) {
  const std::vector<char> start = detail::take(stream, 8);
  if (std::memcmp(start.data(), "\x93NUMPY", 6) != 0) throw Error("it is not a .npy file");
  if (start[6] < 1 || start[6] > 3 || start[7] != 0) throw Error("its .npy version is unknown");
  std::size_t header_size = 0;
  const std::vector<char> length = detail::take(stream, start[6] == 1 ? 2 : 4);
  for (std::size_t i = length.size(); i-- > 0;) header_size = header_size << 8 | static_cast<unsigned char>(length[i]);
  const std::vector<char> text = detail::take(stream, header_size);
  detail::Header header = detail::parse_header(std::string_view(text.data(), text.size()));

  Array array{std::move(header.shape), header.item_size, {}};
  array.bytes = detail::take(stream, count(array.shape, array.item_size) * array.item_size);
  if (stream.peek() != std::istream::traits_type::eof()) throw Error("it is longer than its shape");
  if (header.fortran_order) detail::to_c_order(array);
  return array;
}

inline Array read(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error("it cannot be opened");
  return read(stream);
}

/// Throws Error when the file cannot be written whole.
inline void write(const std::string& path, const Array& array) {
  std::string header = "{'descr': '";
  header += array.is_float32() ? "<f4" : "<f8";
  header += "', 'fortran_order': False, 'shape': (";
  for (const std::size_t n : array.shape) header += std::to_string(n) + ", ";
  header += "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::ofstream stream(path, std::ios::binary);
  const auto low = static_cast<char>(header.size() & 255u);
  const auto high = static_cast<char>(header.size() >> 8);
  stream.write("\x93NUMPY\x01\x00", 8).put(low).put(high);
  stream.write(header.data(), static_cast<std::streamsize>(header.size()));
  stream.write(array.bytes.data(), static_cast<std::streamsize>(array.bytes.size()));
  stream.close();
  if (!stream) throw Error("it cannot be written");
}

}  // namespace npy
