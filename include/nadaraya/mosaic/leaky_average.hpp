// The leaky average: what a key remembers of the tokens before it.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Leaky average: y_t = (1 - e^-l) sum_{i <= t} e^{-l (t - i)} x_i within each sequence, l = |10 leaky_key_beta| per head;
/// computed as y_t = e^-l y_{t-1} + (1 - e^-l) x_t. x and y are [tokens x width]. Cost: O(tokens x width), independent
/// sequences and heads. Source: arXiv 2405.06394, section 5.
class LeakyAverage {
 public:
  /// Adds leaky_key_beta [heads] to the layout.
  LeakyAverage(Layout& layout, const std::string& prefix, Index heads)
      : heads_(heads), beta_(layout.add(prefix + "leaky_key_beta", {heads}, heads)) {}

  /// What a step keeps of the average before it, per head.
  template <class Scalar>
  Scalar decay(const Parameters<Scalar>& parameters, Index head) const {
    using std::abs;
    using std::exp;
    return exp(-abs(Scalar(10) * parameters[beta_](0, head)));
  }

  /// y = the average of x, both [tokens x width], each sequence on its own.
  template <class Scalar>
  void forward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
               RowMatrix<Scalar>& y, const AnyExecutor& executor) const {
    average(parameters, shape, x, static_cast<const RowMatrix<Scalar>*>(nullptr), y, executor);
  }

  /// forward for tokens behind others. `last` [sequences x width] has the averages at the token before, 0
  /// if there is none, and then those at the last one here.
  template <class Scalar>
  void extend(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
              RowMatrix<Scalar>& last, RowMatrix<Scalar>& y, const AnyExecutor& executor) const {
    average(parameters, shape, x, &last, y, executor);
    for (Index s = 0; s < shape.count; ++s) last.row(s) = y.row((s + 1) * shape.length - 1);
  }

  /// With g_t = dL/dy_t + e^-l g_{t+1}: dL/dx_t = (1 - e^-l) g_t, dL/dl = -e^-l sum_t g_t.(y_{t-1} - x_t).
  /// Adds to `grads` and overwrites grad_x. x and y are those of forward.
  template <class Scalar>
  void backward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
                const RowMatrix<Scalar>& y, const RowMatrix<Scalar>& grad_y, Parameters<Scalar>& grads,
                RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) const {
    grad_x.resize(x.rows(), x.cols());
    const Index dim = x.cols() / heads_;
    std::vector<Scalar> by_decay(static_cast<std::size_t>(shape.count * heads_), Scalar(0));
    executor.parallel_for(shape.count * heads_, [&](Index piece) {
      const Index head = piece % heads_;
      const Index first = piece / heads_ * shape.length;
      const Scalar kept = decay(parameters, head);
      Scalar& sum = by_decay[static_cast<std::size_t>(piece)];
      Eigen::Matrix<Scalar, 1, Eigen::Dynamic> g = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>::Zero(dim);
      for (Index t = first + shape.length - 1; t >= first; --t) {
        g = grad_y.row(t).segment(head * dim, dim) + kept * g;
        sum -= g.dot(x.row(t).segment(head * dim, dim));
        if (t > first) sum += g.dot(y.row(t - 1).segment(head * dim, dim));
        grad_x.row(t).segment(head * dim, dim) = (Scalar(1) - kept) * g;
      }
    });
    for (Index piece = 0; piece < shape.count * heads_; ++piece) {
      const Index head = piece % heads_;
      const Scalar beta = parameters[beta_](0, head);
      const Scalar slope = beta > Scalar(0) ? Scalar(10) : beta < Scalar(0) ? Scalar(-10) : Scalar(0);
      grads[beta_](0, head) -= slope * decay(parameters, head) * by_decay[static_cast<std::size_t>(piece)];
    }
  }

 private:
  template <class Scalar>
  void average(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
               const RowMatrix<Scalar>* before, RowMatrix<Scalar>& y, const AnyExecutor& executor) const {
    y.resize(x.rows(), x.cols());
    const Index dim = x.cols() / heads_;
    executor.parallel_for(shape.count * heads_, [&](Index piece) {
      const Index head = piece % heads_;
      const Index first = piece / heads_ * shape.length;
      const Scalar kept = decay(parameters, head);
      for (Index t = first; t < first + shape.length; ++t) {
        auto y_t = y.row(t).segment(head * dim, dim);
        y_t = (Scalar(1) - kept) * x.row(t).segment(head * dim, dim);
        if (t > first) {
          y_t += kept * y.row(t - 1).segment(head * dim, dim);
        } else if (before != nullptr) {
          y_t += kept * before->row(piece / heads_).segment(head * dim, dim);
        }
      }
    });
  }

  Index heads_;
  Slot beta_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
