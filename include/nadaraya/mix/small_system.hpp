// A small symmetric positive definite system.
#pragma once

#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/mix/cholesky.hpp"
#include "nadaraya/types.hpp"

#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// A x = b, A [n x n]. The loops of the machine factorize it without square roots, where the scalar has some. Memory is kept
/// from one system to the next.
template <class Scalar>
class SmallSystem {
 public:
  static constexpr Index past = 64 / static_cast<Index>(sizeof(Scalar));  ///< a pack of any tier

  /// Where the columns of A are to be written, stride() apart, at and below the diagonal.
  Scalar* begin(Index n) {
    size_ = n;
    const auto numbers = static_cast<std::size_t>(n * stride());
    if (matrix_.size() < numbers) matrix_.resize(numbers);
    return matrix_.data();
  }
  Index stride() const { return size_ + past; }

  /// Factorizes A + least I for a positive semidefinite A and least > 0. A pivot that rounding takes below `least` counts as
  /// `least`, so that solutions are finite. NaN gives NaN. O(n^3 / 3).
  void factorize(const Scalar& least) {
    if constexpr (engine::vectorized<Scalar>) {
      engine::loops<Scalar, engine::FitLoops>().factorize(size_, matrix_.data(), stride(), least);
    } else {
      auto a = matrix();
      a.diagonal().array() += least;
      cholesky(a, least);
    }
  }

  /// Replaces x [n] by A^-1 x. A pack past x is read and written. O(n^2).
  void solve(Scalar* x) {
    if constexpr (engine::vectorized<Scalar>) {
      const auto numbers = static_cast<std::size_t>(size_ + past);
      if (rest_.size() < numbers) rest_.resize(numbers);
      engine::loops<Scalar, engine::FitLoops>().substitute(size_, matrix_.data(), stride(), x, rest_.data());
    } else {
      Eigen::Map<Eigen::Matrix<Scalar, Eigen::Dynamic, 1>> solution(x, size_);
      cholesky_solve(matrix(), solution);
    }
  }

 private:
  auto matrix() {
    return Eigen::Map<Square<Scalar>, 0, Eigen::OuterStride<>>(matrix_.data(), size_, size_, Eigen::OuterStride<>(stride()));
  }

  Index size_ = 0;
  std::vector<Scalar> matrix_;
  std::vector<Scalar> rest_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
