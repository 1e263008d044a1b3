// Whole numbers from .npy files.
#pragma once

#include "../attend/npy.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace npy {

struct Integers {
  std::vector<std::size_t> shape;
  std::vector<int> values;
};

/// Reads int64 numbers, each of which must fit an int. Throws Error.
inline Integers read_integers(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error("it cannot be opened");
  std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  // The reader knows floats; eight bytes are eight bytes.
  const std::size_t type = content.substr(0, 128).find("<i8");
  if (type == std::string::npos) throw Error("its elements are not int64, little-endian");
  content[type + 1] = 'f';
  std::istringstream floats(content);
  const Array array = read(floats);
  Integers result{array.shape, {}};
  for (std::size_t i = 0; i < array.bytes.size() / 8; ++i) {
    std::int64_t value = 0;
    std::memcpy(&value, &array.bytes[8 * i], 8);
    if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
      throw Error("it holds a number that is too large");
    }
    result.values.push_back(static_cast<int>(value));
  }
  return result;
}

}  // namespace npy
