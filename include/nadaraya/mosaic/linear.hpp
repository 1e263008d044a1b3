// A linear map of every token.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/product.hpp"
#include "nadaraya/types.hpp"

#include <string>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Linear map: y = x W^T, without bias: x [tokens x inputs], W [outputs x inputs], y [tokens x outputs]. Cost: 2 tokens x
/// inputs x outputs operations forward, twice that backward.
class Linear {
 public:
  /// `shape` begins with [outputs, inputs]; ones may follow.
  Linear(Layout& layout, std::string name, std::vector<Index> shape)
      : weight_(layout.add(std::move(name), shape, shape.at(1))) {}

  /// y = x W^T for every token.
  template <class Scalar>
  void forward(const Parameters<Scalar>& parameters, const RowMatrix<Scalar>& x, RowMatrix<Scalar>& y,
               const AnyExecutor& executor) const {
    multiply_transposed(x, parameters[weight_], y, executor);
  }

  /// Adds dL/dW to `grads` and overwrites grad_x.
  template <class Scalar>
  void backward(const Parameters<Scalar>& parameters, const RowMatrix<Scalar>& x, const RowMatrix<Scalar>& grad_y,
                Parameters<Scalar>& grads, RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) const {
    add_transposed_product(grad_y, x, grads[weight_], executor);
    multiply(grad_y, parameters[weight_], grad_x, executor);
  }

 private:
  Slot weight_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
