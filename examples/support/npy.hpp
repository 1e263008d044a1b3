// Reading and writing NumPy's .npy files of float32 and float64, and reading those of float16 and bfloat16.
// Format: numpy.lib.format, versions 1.0 to 3.0: headers as numpy.load takes them, whoever wrote them.
#pragma once

#include "npy_header.hpp"
#include "sixteen_bits.hpp"
#include "usage.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
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

static_assert(std::endian::native == std::endian::little, "bytes of big-endian files alone are put in another order");

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

template <class Scalar>
Array zeros(const std::vector<std::size_t>& shape) {
  return Array{shape, sizeof(Scalar), std::vector<char>(count(shape, sizeof(Scalar)) * sizeof(Scalar))};
}

namespace detail {

/// Fortran order to C order: the last index comes to vary fastest.
inline void to_c_order(const std::vector<std::size_t>& shape, std::size_t item_size, std::vector<char>& bytes) {
  const std::size_t rank = shape.size();
  const std::vector<char> source = bytes;
  std::vector<std::size_t> index(rank, 0);
  std::vector<std::size_t> stride(rank, 1);
  for (std::size_t d = 1; d < rank; ++d) stride[d] = stride[d - 1] * shape[d - 1];
  const std::size_t total = count(shape, item_size);
  for (std::size_t n = 0; n < total; ++n) {
    std::size_t from = 0;
    for (std::size_t d = 0; d < rank; ++d) from += index[d] * stride[d];
    std::memcpy(&bytes[n * item_size], &source[from * item_size], item_size);
    for (std::size_t d = rank; d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

/// Elements as a file has them become those of C order, little-endian.
inline void to_native(const Header& header, std::vector<char>& bytes) {
  const std::size_t item_size = header.type.size;
  if (header.fortran_order) to_c_order(header.shape, item_size, bytes);
  if (!header.type.big_endian) return;
  for (auto item = bytes.begin(); item != bytes.end(); item += static_cast<std::ptrdiff_t>(item_size)) {
    std::reverse(item, item + static_cast<std::ptrdiff_t>(item_size));
  }
}

/// An array of numbers of any kind, in C order and little-endian.
struct Numbers {
  Type type;
  std::vector<std::size_t> shape;
  std::vector<char> bytes;
};

/// Reads a whole file; nothing may follow the array. Throws Error, as it does where `wanted` is false of the type.
template <class Wanted>
Numbers read_numbers(std::istream& stream, const Wanted& wanted, const char* unwanted) {
  Header header = read_header(stream, wanted, unwanted);
  std::vector<char> bytes = take(stream, count(header.shape, header.type.size) * header.type.size);
  if (stream.peek() != std::istream::traits_type::eof()) throw Error("it is longer than its shape");
  to_native(header, bytes);
  return Numbers{header.type, std::move(header.shape), std::move(bytes)};
}

inline std::ifstream open(const std::string& path) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error("it cannot be opened" + program::reason(errno));
  return stream;
}

}  // namespace detail

/// Reads a whole file; nothing may follow the array. Throws Error.
inline Array read(std::istream& stream) {
  detail::Numbers numbers = detail::read_numbers(stream, [](const detail::Type& type) { return type.is_float(); }, detail::no_floats);
  return Array{std::move(numbers.shape), numbers.type.size, std::move(numbers.bytes)};
}

inline Array read(const std::string& path) {
  std::ifstream stream = detail::open(path);
  return read(stream);
}

/// An array of float32 whose elements are the 16-bit numbers of an array of bytes.
inline Array from_sixteen_bits(std::vector<std::size_t> shape, const std::vector<char>& bytes, bool is_bfloat16) {
  Array array = zeros<float>(shape);
  float* to = array.data<float>();
  for (std::size_t at = 0; at + 2 <= bytes.size(); at += 2) {
    std::uint16_t bits;
    std::memcpy(&bits, &bytes[at], 2);
    *to++ = is_bfloat16 ? sixteen_bits::from_bfloat16(bits) : sixteen_bits::from_half(bits);
  }
  return array;
}

namespace detail {

inline bool is_readable(const Type& type) { return type.is_float() || type.is_sixteen_bits(); }
inline constexpr const char* not_readable =
    "its elements are neither float32 nor float64, nor float16 or bfloat16, little-endian or big-endian";

/// Of float32 or float64: those of 16 bits become float32.
inline Array widened(Numbers numbers) {
  if (numbers.type.is_sixteen_bits()) {
    return from_sixteen_bits(std::move(numbers.shape), numbers.bytes, numbers.type.kind == 'V');
  }
  return Array{std::move(numbers.shape), numbers.type.size, std::move(numbers.bytes)};
}

}  // namespace detail

/// Reads as `read` does, and float16 and bfloat16 as float32.
inline Array read_with_sixteen_bits(const std::string& path) {
  std::ifstream stream = detail::open(path);
  return detail::widened(detail::read_numbers(stream, detail::is_readable, detail::not_readable));
}

/// The bytes that come before an array's elements in its file, whose type is described as NumPy does: "<f4".
inline std::string prologue(const std::string& type, const std::vector<std::size_t>& shape) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (";
  for (const std::size_t n : shape) header += std::to_string(n) + ", ";
  header += "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 255u);
  text += static_cast<char>(header.size() >> 8);
  return text + header;
}

/// Throws Error when the file cannot be written whole.
inline void write(const std::string& path, const Array& array) {
  const std::string before = prologue(array.is_float32() ? "<f4" : "<f8", array.shape);
  errno = 0;
  std::ofstream stream(path, std::ios::binary);
  stream.write(before.data(), static_cast<std::streamsize>(before.size()));
  stream.write(array.bytes.data(), static_cast<std::streamsize>(array.bytes.size()));
  stream.close();
  if (!stream) throw Error("it cannot be written" + program::reason(errno));
}

}  // namespace npy
