// Products of matrices, shared out over an executor.
#pragma once

#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

namespace detail {

/// Rows of a result that are one piece of work: a multiple of the product loop's tile of 6, and some
/// thirty pieces for a training step's 768 tokens.
inline constexpr Index product_rows = 24;
/// Rows of the right factor per partial sum: with 64 columns of floats, 32 KiB.
inline constexpr Index product_depth = 128;

/// c (+)= a b, where a[i][d] = a[i a_row + d a_step] and rows of b and c are contiguous. The order of
/// sums does not depend on the executor.
template <bool Add, class T>
void multiply(Index rows, Index depth, Index cols, const T* a, Index a_row, Index a_step, const T* b, T* c,
              const AnyExecutor& executor) {
  for_stretches(rows, product_rows, executor, [&](Index first, Index count) {
    if constexpr (engine::vectorized<T>) {
      for (Index d = 0; d < depth; d += product_depth) {
        const Index some = depth - d < product_depth ? depth - d : product_depth;
        const T* left = a + first * a_row + d * a_step;
        const auto& loops = engine::loops<T>();
        const auto loop = Add || d > 0 ? loops.add_product : loops.multiply;
        loop(count, some, cols, left, a_row, a_step, b + d * cols, cols, c + first * cols, cols);
      }
    } else {
      using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
      const Eigen::Map<const RowMatrix<T>, 0, Stride> left(a + first * a_row, count, depth, Stride(a_row, a_step));
      const Eigen::Map<const RowMatrix<T>> right(b, depth, cols);
      Eigen::Map<RowMatrix<T>> out(c + first * cols, count, cols);
      if (!Add) out.setZero();
      out += left.lazyProduct(right);
    }
  });
}

}  // namespace detail

/// out = x w^T: x [n x inputs], w [outputs x inputs], out [n x outputs], resized.
template <class Scalar, class W>
void multiply_transposed(const RowMatrix<Scalar>& x, const W& w, RowMatrix<Scalar>& out, const AnyExecutor& executor) {
  const RowMatrix<Scalar> transposed = w.transpose();
  out.resize(x.rows(), w.rows());
  detail::multiply<false>(x.rows(), x.cols(), w.rows(), x.data(), x.cols(), Index(1), transposed.data(), out.data(),
                          executor);
}

/// out = y w: y [n x outputs], w [outputs x inputs], contiguous, out [n x inputs], resized.
template <class Scalar, class W>
void multiply(const RowMatrix<Scalar>& y, const W& w, RowMatrix<Scalar>& out, const AnyExecutor& executor) {
  out.resize(y.rows(), w.cols());
  detail::multiply<false>(y.rows(), y.cols(), w.cols(), y.data(), y.cols(), Index(1), w.data(), out.data(), executor);
}

/// out += y^T x: y [n x outputs], x [n x inputs], out [outputs x inputs], contiguous.
template <class Scalar, class W>
void add_transposed_product(const RowMatrix<Scalar>& y, const RowMatrix<Scalar>& x, W&& out,
                            const AnyExecutor& executor) {
  detail::multiply<true>(y.cols(), y.rows(), x.cols(), y.data(), Index(1), y.cols(), x.data(), out.data(), executor);
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
