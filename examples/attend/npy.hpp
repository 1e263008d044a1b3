// Reading and writing NumPy's .npy files of float32 and float64.
// Format: numpy.lib.format, versions 1.0 to 3.0.
#pragma once

#include <bit>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace npy {

static_assert(std::endian::native == std::endian::little, "the reader takes little-endian files as they lie");

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

/// Number of elements; throws when it, or its size in bytes, overflows.
inline std::size_t count(const std::vector<std::size_t>& shape, std::size_t item_size) {
  std::size_t total = 1;
  for (const std::size_t n : shape) {
    if (n != 0 && total > std::numeric_limits<std::size_t>::max() / n) throw Error("its shape overflows");
    total *= n;
  }
  if (total > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / item_size) {
    throw Error("its shape overflows");
  }
  return total;
}

template <class Scalar>
Array zeros(const std::vector<std::size_t>& shape) {
  return Array{shape, sizeof(Scalar), std::vector<char>(count(shape, sizeof(Scalar)) * sizeof(Scalar))};
}

namespace detail {

/// The text after `key` and its colon in a header's dictionary.
inline std::string field(const std::string& header, const std::string& key) {
  std::size_t at = header.find("'" + key + "'");
  if (at == std::string::npos) throw Error("its header has no '" + key + "'");
  at = header.find(':', at);
  if (at == std::string::npos) throw Error("its header is malformed");
  at = header.find_first_not_of(" ", at + 1);
  if (at == std::string::npos) throw Error("its header is malformed");
  return header.substr(at);
}

inline std::vector<std::size_t> parse_shape(const std::string& text) {
  if (text.empty() || text[0] != '(') throw Error("its shape is malformed");
  std::vector<std::size_t> shape;
  std::size_t i = 1;
  while (true) {
    while (i < text.size() && (text[i] == ' ' || text[i] == ',')) ++i;
    if (i >= text.size()) throw Error("its shape is malformed");
    if (text[i] == ')') return shape;
    std::size_t value = 0;
    const std::size_t start = i;
    for (; i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])); ++i) {
      const auto digit = static_cast<std::size_t>(text[i] - '0');
      if (value > (std::numeric_limits<std::size_t>::max() - digit) / 10) throw Error("its shape overflows");
      value = value * 10 + digit;
    }
    if (i == start) throw Error("its shape is malformed");
    shape.push_back(value);
    if (shape.size() > 32) throw Error("it has too many dimensions");
  }
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

/// Parses the content of a file. Throws Error with the rest of a sentence that starts "the file: ".
inline Array parse(const std::vector<char>& file) {
  if (file.size() < 10 || std::memcmp(file.data(), "\x93NUMPY", 6) != 0) throw Error("it is not a .npy file");
  const int version = static_cast<unsigned char>(file[6]);
  if (version < 1 || version > 3) throw Error("its .npy version is unknown");
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (file.size() < 8 + length_bytes) throw Error("it is truncated");
  std::size_t header_size = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) {
    header_size |= static_cast<std::size_t>(static_cast<unsigned char>(file[8 + i])) << (8 * i);
  }
  const std::size_t start = 8 + length_bytes;
  if (file.size() - start < header_size) throw Error("it is truncated");
  const std::string header(file.data() + start, header_size);

  Array array;
  const std::string descr = detail::field(header, "descr");
  if (descr.rfind("'<f4'", 0) == 0) {
    array.item_size = 4;
  } else if (descr.rfind("'<f8'", 0) != 0) {
    throw Error("its elements are neither float32 nor float64, little-endian");
  }
  const std::string order = detail::field(header, "fortran_order");
  const bool fortran = order.rfind("True", 0) == 0;
  if (!fortran && order.rfind("False", 0) != 0) throw Error("its header is malformed");
  array.shape = detail::parse_shape(detail::field(header, "shape"));
  const std::size_t size = count(array.shape, array.item_size) * array.item_size;
  if (file.size() - start - header_size != size) throw Error("its length does not fit its shape");
  array.bytes.assign(file.end() - static_cast<std::ptrdiff_t>(size), file.end());
  if (fortran) detail::to_c_order(array);
  return array;
}

inline Array read(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error("it cannot be opened");
  const std::vector<char> file((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (stream.bad()) throw Error("it cannot be read");
  return parse(file);
}

/// Throws Error when the file cannot be written whole.
inline void write(const std::string& path, const Array& array) {
  std::string header = std::string("{'descr': '") + (array.is_float32() ? "<f4" : "<f8") +
                       "', 'fortran_order': False, 'shape': (";
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
