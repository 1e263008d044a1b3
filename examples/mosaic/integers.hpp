// Whole numbers from .npy files.
#pragma once

#include "../support/npy.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace npy {

struct Integers {
  std::vector<std::size_t> shape;
  std::vector<int> values;
};

/// Reads whole numbers of any size, each of which must fit an int. Throws Error.
inline Integers read_integers(const std::string& path) {
  std::ifstream stream = detail::open(path);
  const auto whole = [](const detail::Type& type) { return type.kind == 'i' || type.kind == 'u'; };
  detail::Numbers numbers = detail::read_numbers(stream, whole, "its elements are not whole numbers");
  const std::size_t size = numbers.type.size;
  Integers result{std::move(numbers.shape), {}};
  for (std::size_t at = 0; at < numbers.bytes.size(); at += size) {
    const bool negative = numbers.type.kind == 'i' && static_cast<signed char>(numbers.bytes[at + size - 1]) < 0;
    std::uint64_t bits = negative ? ~std::uint64_t{0} : 0;
    std::memcpy(&bits, &numbers.bytes[at], size);
    const auto value = static_cast<std::int64_t>(bits);
    // What an int64 cannot hold comes out negative.
    if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max() || (value < 0 && !negative)) {
      throw Error("it holds a number that is too large");
    }
    result.values.push_back(static_cast<int>(value));
  }
  return result;
}

}  // namespace npy
