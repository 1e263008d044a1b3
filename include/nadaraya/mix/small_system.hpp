// A small symmetric positive definite system, factorized in blocks of rows.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/mix/cholesky.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// A x = b, A [n x n]. Columns are a block of rows longer than n, so that no block needs a rest. Memory is kept from one
/// system to the next.
template <class Scalar>
class SmallSystem {
 public:
  /// Where the columns of A are to be written, stride() apart, at and below the diagonal.
  Scalar* begin(Index n) {
    size_ = n;
    const auto numbers = static_cast<std::size_t>(n * stride());
    if (matrix_.size() < numbers) matrix_.resize(numbers);
    return matrix_.data();
  }
  Index stride() const { return size_ + block; }

  /// Solves (A + least I) x = b for a positive semidefinite A and least > 0. A pivot that rounding takes below `least` counts
  /// as `least`, so that the solution is finite. NaN gives NaN. O(n^3 / 3).
  void solve(const Scalar& least, const Scalar* b, Scalar* x) {
    // The right-hand side is a row below A, which the factorization replaces by L^-1 b.
    for (Index j = 0; j < size_; ++j) {
      Scalar* const below = column(j) + size_;
      below[0] = b[j];
      std::fill_n(below + 1, block - 1, Scalar(0));
      column(j)[j] += least;
    }
    for (Index j = 0; j < size_; ++j) {
      for (Index i = j; i <= size_; i += block) subtract_columns(i, j);
      Scalar* const of = column(j);
      const Scalar root = detail::sqrt(of[j] < least ? least : of[j]);
      of[j] = root;
      for (Index i = j + 1; i <= size_; ++i) of[i] /= root;
    }
    for (Index j = 0; j < size_; ++j) x[j] = column(j)[size_];
    for (Index j = size_ - 1; j >= 0; --j) {
      const Scalar* const row = matrix_.data() + j;
      const Scalar x_j = x[j] / row[j * stride()];
      x[j] = x_j;
      for (Index k = 0; k < j; ++k) x[k] -= row[k * stride()] * x_j;
    }
  }

  /// Replaces x by the solution for another right-hand side.
  template <class Vector>
  void solve_again(Vector& x) const {
    cholesky_solve(Eigen::Map<const Square<Scalar>, 0, Eigen::OuterStride<>>(matrix_.data(), size_, size_,
                                                                             Eigen::OuterStride<>(stride())),
                   x);
  }

 private:
  static constexpr Index block = 8;

  Scalar* column(Index j) { return matrix_.data() + j * stride(); }

  /// From a block of rows of column j, what the columns before it bring: a_ij -= sum_k<j a_ik a_jk.
  void subtract_columns(Index i, Index j) {
    using Block = Eigen::Array<Scalar, block, 1>;
    Block rest = Eigen::Map<const Block>(column(j) + i);
    const Scalar* left = matrix_.data();
    for (Index k = 0; k < j; ++k, left += stride()) rest -= left[j] * Eigen::Map<const Block>(left + i);
    Eigen::Map<Block>(column(j) + i) = rest;
  }

  Index size_ = 0;
  std::vector<Scalar> matrix_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
