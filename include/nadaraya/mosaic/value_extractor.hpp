// Values: what a token and the one after it say.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/linear.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/unit_norm.hpp"
#include "nadaraya/mosaic/value_scale.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Values: v_t = e^{10 value_beta} m_t / |m_t| per head, m_t = c w_t + (1 - c) w_{t+1}, w = W x; w past the end of a
/// sequence is 0. x and v are [tokens x width], c and value_beta learned per head. A value looks one token ahead, so only
/// queries behind that token may read it: the contextual memory is strictly causal. Source: arXiv 2405.06394, section 5.
class ValueExtractor {
 public:
  /// Adds its parameters to the layout.
  ValueExtractor(Layout& layout, const std::string& prefix, Index width, Index heads)
      : heads_(heads),
        scale_(layout, prefix, heads),
        mix_(layout.add(prefix + "v_featurizer.coef", {heads}, heads)),
        linear_(layout, prefix + "v_featurizer.linear.weight", {width, width}) {}

  /// What backward needs of forward.
  template <class Scalar>
  struct Tape {
    RowMatrix<Scalar> linear;  ///< w = W x
    RowMatrix<Scalar> mixed;  ///< m
    RowMatrix<Scalar> unit;  ///< m / |m| for each head
    RowMatrix<Scalar> norms;  ///< |m| of each token and head
    RowMatrix<Scalar> value;  ///< the result
  };

  /// The values of x, tape.value, [tokens x width] like x.
  template <class Scalar>
  void forward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
               Tape<Scalar>& tape, const AnyExecutor& executor) const {
    linear_.forward(parameters, x, tape.linear, executor);
    look_ahead(parameters, shape, tape, executor);
  }

  /// forward for tokens behind others, whose result begins with the value of the token before them, since
  /// it needs the first one here: [sequences x (length + 1)] tokens, and the last one's is not final. `last`
  /// [sequences x width] is W x of the token before, and then of the last one here.
  template <class Scalar>
  void extend(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
              RowMatrix<Scalar>& last, Tape<Scalar>& tape, const AnyExecutor& executor) const {
    RowMatrix<Scalar> linear;
    linear_.forward(parameters, x, linear, executor);
    const Sequences longer{shape.count, shape.length + 1};
    tape.linear.resize(longer.tokens(), x.cols());
    for (Index s = 0; s < shape.count; ++s) {
      tape.linear.row(s * longer.length) = last.row(s);
      tape.linear.middleRows(s * longer.length + 1, shape.length) = linear.middleRows(s * shape.length, shape.length);
      last.row(s) = linear.row((s + 1) * shape.length - 1);
    }
    look_ahead(parameters, longer, tape, executor);
  }

  /// Adds to `grads` and overwrites grad_x.
  template <class Scalar>
  void backward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
                const Tape<Scalar>& tape, const RowMatrix<Scalar>& grad_value, Parameters<Scalar>& grads,
                RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) const {
    const RowMatrix<Scalar>& w = tape.linear;
    RowMatrix<Scalar> grad_mixed, grad_linear(w.rows(), w.cols());
    scale_.backward(parameters, tape.unit, grad_value, grads, grad_mixed, executor);
    unit_norm_pullback(tape.unit, tape.norms, grad_mixed, grad_mixed, executor);
    const Index dim = w.cols() / heads_;
    RowMatrix<Scalar> by_mix = RowMatrix<Scalar>::Zero(shape.count, heads_);
    executor.parallel_for(shape.count, [&](Index sequence) {
      const Index first = sequence * shape.length;
      const Index last = first + shape.length - 1;
      for (Index h = 0; h < heads_; ++h) {
        const Scalar c = parameters[mix_](0, h);
        for (Index t = first; t <= last; ++t) {
          const auto g = grad_mixed.row(t).segment(h * dim, dim);
          auto grad_w = grad_linear.row(t).segment(h * dim, dim);
          grad_w = c * g;
          if (t > first) grad_w += (Scalar(1) - c) * grad_mixed.row(t - 1).segment(h * dim, dim);
          by_mix(sequence, h) += g.dot(w.row(t).segment(h * dim, dim));
          if (t < last) by_mix(sequence, h) -= g.dot(w.row(t + 1).segment(h * dim, dim));
        }
      }
    });
    grads[mix_] += by_mix.colwise().sum();
    linear_.backward(parameters, x, grad_linear, grads, grad_x, executor);
  }

 private:
  /// From tape.linear on.
  template <class Scalar>
  void look_ahead(const Parameters<Scalar>& parameters, const Sequences& shape, Tape<Scalar>& tape,
                  const AnyExecutor& executor) const {
    const RowMatrix<Scalar>& w = tape.linear;
    tape.mixed.resize(w.rows(), w.cols());
    const Index dim = w.cols() / heads_;
    executor.parallel_for(shape.count, [&](Index sequence) {
      const Index last = (sequence + 1) * shape.length - 1;
      for (Index h = 0; h < heads_; ++h) {
        const Scalar c = parameters[mix_](0, h);
        for (Index t = sequence * shape.length; t <= last; ++t) {
          auto m = tape.mixed.row(t).segment(h * dim, dim);
          m = c * w.row(t).segment(h * dim, dim);
          if (t < last) m += (Scalar(1) - c) * w.row(t + 1).segment(h * dim, dim);
        }
      }
    });
    unit_norm(tape.mixed, heads_, tape.unit, tape.norms, executor);
    scale_.forward(parameters, tape.unit, tape.value, executor);
  }

  Index heads_;
  ValueScale scale_;
  Slot mix_;
  Linear linear_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
