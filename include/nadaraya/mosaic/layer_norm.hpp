// Layer normalization with a weight and no bias.
#pragma once

#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <string>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Layer norm: y = w n, n = (x - mean x) / sqrt(var x + 1e-5) over the columns of each token; the variance divides by the
/// width. x and y are [tokens x width]. Source: Ba, Kiros & Hinton 2016, arXiv 1607.06450.
class LayerNorm {
 public:
  /// Adds its weight [width] to the layout.
  LayerNorm(Layout& layout, const std::string& prefix, Index width)
      : weight_(layout.add(prefix + "weight", {width}, width)) {}

  /// What backward needs of forward.
  template <class Scalar>
  struct Tape {
    RowMatrix<Scalar> normalized;  ///< before the weight
    RowMatrix<Scalar> inverse_deviation;  ///< of each token
    RowMatrix<Scalar> out;  ///< the result
  };

  /// The result is tape.out, [tokens x width] like x.
  template <class Scalar>
  void forward(const Parameters<Scalar>& parameters, const RowMatrix<Scalar>& x, Tape<Scalar>& tape,
               const AnyExecutor& executor) const {
    using std::sqrt;
    tape.normalized.resize(x.rows(), x.cols());
    tape.inverse_deviation.resize(x.rows(), 1);
    tape.out.resize(x.rows(), x.cols());
    const auto weight = parameters[weight_];
    for_stretches(x.rows(), tokens_at_once, executor, [&](Index first, Index count) {
      for (Index t = first; t < first + count; ++t) {
        auto n = tape.normalized.row(t);
        n = x.row(t).array() - x.row(t).mean();
        const Scalar variance = n.squaredNorm() / Scalar(x.cols());
        tape.inverse_deviation(t, 0) = Scalar(1) / sqrt(variance + Scalar(1e-5));
        n *= tape.inverse_deviation(t, 0);
        tape.out.row(t) = n.cwiseProduct(weight);
      }
    });
  }

  /// With g = w dL/dy: dL/dx = (g - mean g - n mean(g n)) / sqrt(var x + 1e-5). Adds to `grads` and
  /// overwrites grad_x.
  template <class Scalar>
  void backward(const Parameters<Scalar>& parameters, const Tape<Scalar>& tape, const RowMatrix<Scalar>& grad_y,
                Parameters<Scalar>& grads, RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) const {
    const RowMatrix<Scalar>& normalized = tape.normalized;
    const auto weight = parameters[weight_];
    grad_x.resize(grad_y.rows(), grad_y.cols());
    RowMatrix<Scalar> by_weight((grad_y.rows() + tokens_at_once - 1) / tokens_at_once, grad_y.cols());
    for_stretches(grad_y.rows(), tokens_at_once, executor, [&](Index first, Index count) {
      by_weight.row(first / tokens_at_once) =
          grad_y.middleRows(first, count).cwiseProduct(normalized.middleRows(first, count)).colwise().sum();
      for (Index t = first; t < first + count; ++t) {
        auto g = grad_x.row(t);
        g = grad_y.row(t).cwiseProduct(weight);
        const Scalar mean = g.mean();
        const Scalar along = g.dot(normalized.row(t)) / Scalar(g.size());
        g = tape.inverse_deviation(t, 0) * (g.array() - mean - along * normalized.row(t).array()).matrix();
      }
    });
    grads[weight_] += by_weight.colwise().sum();
  }

 private:
  Slot weight_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
