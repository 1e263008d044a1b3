// A learned factor for each head.
#pragma once

#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <string>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Scaled values: y = e^{10 value_beta} x, value_beta per head: x and y [tokens x width].
class ValueScale {
 public:
  /// Adds value_beta [heads] to the layout.
  ValueScale(Layout& layout, const std::string& prefix, Index heads)
      : heads_(heads), beta_(layout.add(prefix + "value_beta", {heads}, heads)) {}

  /// y is resized.
  template <class Scalar>
  void forward(const Parameters<Scalar>& parameters, const RowMatrix<Scalar>& x, RowMatrix<Scalar>& y,
               const AnyExecutor& executor) const {
    const auto factors = columns(parameters, x.cols());
    y.resize(x.rows(), x.cols());
    for_stretches(x.rows(), tokens_at_once, executor, [&](Index first, Index count) {
      y.middleRows(first, count) = (x.middleRows(first, count).array().rowwise() * factors).matrix();
    });
  }

  /// Adds to `grads` and overwrites grad_x, which may be the same matrix as grad_y.
  template <class Scalar>
  void backward(const Parameters<Scalar>& parameters, const RowMatrix<Scalar>& x, const RowMatrix<Scalar>& grad_y,
                Parameters<Scalar>& grads, RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) const {
    const auto factors = columns(parameters, x.cols());
    const Index pieces = (x.rows() + tokens_at_once - 1) / tokens_at_once;
    RowMatrix<Scalar> products(pieces, x.cols());
    grad_x.resize(x.rows(), x.cols());
    for_stretches(x.rows(), tokens_at_once, executor, [&](Index first, Index count) {
      products.row(first / tokens_at_once) =
          x.middleRows(first, count).cwiseProduct(grad_y.middleRows(first, count)).colwise().sum();
      grad_x.middleRows(first, count) = (grad_y.middleRows(first, count).array().rowwise() * factors).matrix();
    });
    const Index dim = x.cols() / heads_;
    for (Index h = 0; h < heads_; ++h) {
      grads[beta_](0, h) += Scalar(10) * factors(h * dim) * products.middleCols(h * dim, dim).sum();
    }
  }

 private:
  template <class Scalar>
  Eigen::Array<Scalar, 1, Eigen::Dynamic> columns(const Parameters<Scalar>& parameters, Index width) const {
    using std::exp;
    Eigen::Array<Scalar, 1, Eigen::Dynamic> factors(width);
    const Index dim = width / heads_;
    for (Index h = 0; h < heads_; ++h) factors.segment(h * dim, dim).setConstant(exp(Scalar(10) * parameters[beta_](0, h)));
    return factors;
  }

  Index heads_;
  Slot beta_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
