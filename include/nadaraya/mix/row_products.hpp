// Products of a few rows, by the loops of the machine where the scalar has some.
#pragma once

#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Rows x_j, contiguous, one after the other.
template <class Scalar>
struct FewRows {
  const Scalar* data;
  Index rows;
  Index cols;

  const Scalar* row(Index j) const { return data + j * cols; }
  auto eigen() const { return Eigen::Map<const RowMatrix<Scalar>>(data, rows, cols); }
};

/// Products of few rows, to be solved: to(i, j) = x_i . x_j for i >= j, in columns `stride` apart.
template <class Scalar>
void products_of_rows(const FewRows<Scalar>& x, Scalar* to, Index stride) {
  if constexpr (engine::vectorized<Scalar>) {
    constexpr Index some = 4;
    for (Index j = 0; j < x.rows; j += some) {
      engine::loops<Scalar>().products_of_rows(x.row(j), x.cols, x.rows - j, x.cols, x.row(j), x.cols,
                                               (std::min)(some, x.rows - j), to + j * stride + j, stride, Scalar(1));
    }
  } else {
    Eigen::Map<RowMatrix<Scalar>, 0, Eigen::OuterStride<>>(to, x.rows, x.rows, Eigen::OuterStride<>(stride)).noalias() =
        x.eigen() * x.eigen().transpose();
  }
}

/// sum_j x_j x_j^T, [cols x cols], in columns `stride` apart.
template <class Scalar>
void products_of_columns(const FewRows<Scalar>& x, Scalar* to, Index stride) {
  if constexpr (engine::vectorized<Scalar>) {
    engine::loops<Scalar>().multiply(x.cols, x.rows, x.cols, x.data, Index(1), x.cols, x.data, x.cols, to, stride);
  } else {
    Eigen::Map<RowMatrix<Scalar>, 0, Eigen::OuterStride<>>(to, x.cols, x.cols, Eigen::OuterStride<>(stride)).noalias() =
        x.eigen().transpose() * x.eigen();
  }
}

/// to[j] = x_j . y, y [cols].
template <class Scalar>
void products_with(const FewRows<Scalar>& x, const Scalar* y, Scalar* to) {
  if constexpr (engine::vectorized<Scalar>) {
    engine::loops<Scalar>().products(x.data, x.cols, x.rows, x.cols, y, to, Scalar(1));
  } else {
    using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
    Eigen::Map<Vector>(to, x.rows).noalias() = x.eigen() * Eigen::Map<const Vector>(y, x.cols);
  }
}

/// to = sum_j p_j x_j, p [rows].
template <class Scalar>
void sum_of_rows(const FewRows<Scalar>& x, const Scalar* p, Scalar* to) {
  if constexpr (engine::vectorized<Scalar>) {
    engine::loops<Scalar>().multiply(Index(1), x.rows, x.cols, p, x.rows, Index(1), x.data, x.cols, to, x.cols);
  } else {
    using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
    Eigen::Map<Vector>(to, x.cols).noalias() = x.eigen().transpose() * Eigen::Map<const Vector>(p, x.rows);
  }
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
