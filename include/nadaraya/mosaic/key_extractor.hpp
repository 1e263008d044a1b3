// Keys: directions of a leaky average of what the tokens say.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/leaky_average.hpp"
#include "nadaraya/mosaic/linear.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/unit_norm.hpp"
#include "nadaraya/types.hpp"

#include <string>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Keys: k = a / |a| per head, a = leaky average of W x: x and k [tokens x width]. Source: arXiv 2405.06394, section 5.
class KeyExtractor {
 public:
  /// Adds its parameters to the layout.
  KeyExtractor(Layout& layout, const std::string& prefix, Index width, Index heads)
      : heads_(heads),
        average_(layout, prefix, heads),
        linear_(layout, prefix + "k_featurizer.conv.weight", {width, width, 1}) {}

  /// What backward needs of forward.
  template <class Scalar>
  struct Tape {
    RowMatrix<Scalar> linear;  ///< W x
    RowMatrix<Scalar> average;  ///< its leaky average
    RowMatrix<Scalar> norms;  ///< the norm of each token and head
    RowMatrix<Scalar> key;  ///< the result
  };

  /// The keys of x, both [tokens x width].
  template <class Scalar>
  void forward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
               Tape<Scalar>& tape, const AnyExecutor& executor) const {
    linear_.forward(parameters, x, tape.linear, executor);
    average_.forward(parameters, shape, tape.linear, tape.average, executor);
    unit_norm(tape.average, heads_, tape.key, tape.norms, executor);
  }

  /// forward for tokens behind others; `last` is the leaky average's.
  template <class Scalar>
  void extend(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
              RowMatrix<Scalar>& last, Tape<Scalar>& tape, const AnyExecutor& executor) const {
    linear_.forward(parameters, x, tape.linear, executor);
    average_.extend(parameters, shape, tape.linear, last, tape.average, executor);
    unit_norm(tape.average, heads_, tape.key, tape.norms, executor);
  }

  /// Adds to `grads` and overwrites grad_x.
  template <class Scalar>
  void backward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
                const Tape<Scalar>& tape, const RowMatrix<Scalar>& grad_key, Parameters<Scalar>& grads,
                RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) const {
    RowMatrix<Scalar> grad_average, grad_linear;
    unit_norm_pullback(tape.key, tape.norms, grad_key, grad_average, executor);
    average_.backward(parameters, shape, tape.linear, tape.average, grad_average, grads, grad_linear, executor);
    linear_.backward(parameters, x, grad_linear, grads, grad_x, executor);
  }

 private:
  Index heads_;
  LeakyAverage average_;
  Linear linear_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
