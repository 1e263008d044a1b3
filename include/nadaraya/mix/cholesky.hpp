// Solves small symmetric positive definite systems.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Column-major n x n, of which only the lower triangle is read.
template <class Scalar>
using Square = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

/// Replaces the lower triangle of A = C + least I by L, A = L L^T, where C is positive semidefinite up to rounding and
/// least > 0. The exact pivots are at least `least`; one that rounding takes below it counts as `least`, so that the
/// factor of a singular C is finite. NaN in A gives NaN. O(n^3 / 3).
template <class Matrix>
void cholesky(Matrix& a, const typename Matrix::Scalar& least) {
  using Scalar = typename Matrix::Scalar;
  const Index n = a.rows();
  for (Index j = 0; j < n; ++j) {
    const Scalar pivot = a(j, j) < least ? least : a(j, j);
    const Scalar root = detail::sqrt(pivot);
    a(j, j) = root;
    const Index below = n - j - 1;
    a.col(j).tail(below) /= root;
    for (Index i = j + 1; i < n; ++i) a.col(i).tail(n - i) -= Scalar(a(i, j)) * a.col(j).tail(n - i);
  }
}

/// Replaces x by A^-1 x, given the factor of A. O(n^2).
template <class Matrix, class Vector>
void cholesky_solve(const Matrix& factor, Vector& x) {
  using Scalar = typename Matrix::Scalar;
  const Index n = factor.rows();
  for (Index j = 0; j < n; ++j) {
    x(j) /= factor(j, j);
    x.tail(n - j - 1) -= Scalar(x(j)) * factor.col(j).tail(n - j - 1);
  }
  for (Index j = n - 1; j >= 0; --j) {
    x(j) -= factor.col(j).tail(n - j - 1).dot(x.tail(n - j - 1));
    x(j) /= factor(j, j);
  }
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
