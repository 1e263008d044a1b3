// Reproducible inputs: the same numbers with every standard library.
#pragma once

#include <nadaraya/types.hpp>

#include <cmath>
#include <cstdint>
#include <random>

namespace nadaraya::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

  /// Standard normal (Box & Muller 1958).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

  Index below(Index n) { return static_cast<Index>(uniform() * static_cast<double>(n)); }

  template <class Scalar>
  RowMatrix<Scalar> normal(Index rows, Index cols, double scale = 1.0) {
    RowMatrix<Scalar> m(rows, cols);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) m(i, j) = static_cast<Scalar>(scale * normal());
    }
    return m;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace nadaraya::test
