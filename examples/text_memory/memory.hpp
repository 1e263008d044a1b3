// A text as a memory of key-value pairs: the characters before a position, and the one that follows.
#pragma once

#include <nadaraya/nadaraya.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

namespace text_memory {

using nadaraya::Index;
using nadaraya::RowMatrix;

/// How fast each block of a key forgets: a character d places back counts exp(-lambda d).
inline constexpr std::array<float, 3> decays{0.4f, 1.0f, 2.0f};

/// The text as symbols 0 ... size - 1, in order of first appearance.
struct Symbols {
  explicit Symbols(const std::string& text) {
    std::array<int, 256> code;
    code.fill(-1);
    for (const char c : text) {
      int& known = code[static_cast<unsigned char>(c)];
      if (known < 0) {
        known = size++;
        letters += c;
      }
      symbols.push_back(known);
    }
  }

  int size = 0;
  std::string letters;
  std::vector<int> symbols;
};

/// Row i: leaky averages of the one-hot characters up to position i, a block for each decay, every
/// block of norm 1/sqrt(3), so that the key has norm one.
inline RowMatrix<float> keys(const Symbols& text) {
  const auto n = static_cast<Index>(text.symbols.size());
  const Index size = text.size;
  RowMatrix<float> keys(n, size * static_cast<Index>(decays.size()));
  for (std::size_t b = 0; b < decays.size(); ++b) {
    Eigen::RowVectorXf average = Eigen::RowVectorXf::Zero(size);
    for (Index i = 0; i < n; ++i) {
      average *= std::exp(-decays[b]);
      average(text.symbols[static_cast<std::size_t>(i)]) += 1.0f;
      keys.row(i).segment(static_cast<Index>(b) * size, size) =
          average / (average.norm() * std::sqrt(static_cast<float>(decays.size())));
    }
  }
  return keys;
}

/// Row i: the character after position i, one-hot.
inline RowMatrix<float> values(const Symbols& text) {
  const auto n = static_cast<Index>(text.symbols.size()) - 1;
  RowMatrix<float> values = RowMatrix<float>::Zero(n, text.size);
  for (Index i = 0; i < n; ++i) values(i, text.symbols[static_cast<std::size_t>(i) + 1]) = 1.0f;
  return values;
}

}  // namespace text_memory
