// The direction of every head's part of every token.
#pragma once

#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// u = x / |x| for every head of every token: x and u [tokens x width], norms [tokens x heads], where u
/// and norms are resized. A zero has no direction: u = 0 there, and no gradient passes.
template <class Scalar>
void unit_norm(const RowMatrix<Scalar>& x, Index heads, RowMatrix<Scalar>& u, RowMatrix<Scalar>& norms,
               const AnyExecutor& executor) {
  const Index dim = x.cols() / heads;
  u.resize(x.rows(), x.cols());
  norms.resize(x.rows(), heads);
  for_stretches(x.rows(), tokens_at_once, executor, [&](Index first, Index count) {
    for (Index t = first; t < first + count; ++t) {
      for (Index h = 0; h < heads; ++h) {
        const Scalar norm = x.row(t).segment(h * dim, dim).norm();
        norms(t, h) = norm;
        u.row(t).segment(h * dim, dim) =
            (norm == Scalar(0) ? Scalar(0) : Scalar(1) / norm) * x.row(t).segment(h * dim, dim);
      }
    }
  });
}

/// dL/dx = (g - (u.g) u) / |x| for g = dL/du; may be the same matrix as grad_u.
template <class Scalar>
void unit_norm_pullback(const RowMatrix<Scalar>& u, const RowMatrix<Scalar>& norms, const RowMatrix<Scalar>& grad_u,
                        RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) {
  const Index heads = norms.cols();
  const Index dim = u.cols() / heads;
  grad_x.resize(u.rows(), u.cols());
  for_stretches(u.rows(), tokens_at_once, executor, [&](Index first, Index count) {
    for (Index t = first; t < first + count; ++t) {
      for (Index h = 0; h < heads; ++h) {
        const auto u_h = u.row(t).segment(h * dim, dim);
        const auto g_h = grad_u.row(t).segment(h * dim, dim);
        const Scalar factor = norms(t, h) == Scalar(0) ? Scalar(0) : Scalar(1) / norms(t, h);
        const Scalar radial = u_h.dot(g_h);
        grad_x.row(t).segment(h * dim, dim) = factor * (g_h - radial * u_h);
      }
    }
  });
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
