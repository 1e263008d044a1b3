// The contextual memory: regression of what comes next on what was said so far in the sequence.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/kernel_width.hpp"
#include "nadaraya/mosaic/key_extractor.hpp"
#include "nadaraya/mosaic/linear.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/regression_pass.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/value_extractor.hpp"
#include "nadaraya/types.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Contextual memory: y = W [regression of the values on the keys, head by head], strictly causal: the query of a token is
/// its own key, and it reads the keys before it. x and y are [tokens x width]. The first token of a sequence reads nothing,
/// and what the heads answer it is 0. Source: arXiv 2405.06394, section 5, with the kernels of arXiv 2601.22766.
template <class Scalar>
class ContextualMemory {
 public:
  /// Adds its parameters to the layout.
  ContextualMemory(Layout& layout, const std::string& prefix, Index width, Index heads, const KernelChoice<Scalar>& kernel)
      : heads_(heads),
        kernel_(kernel),
        keys_(layout, prefix, width, heads),
        width_(layout, prefix, heads, kernel.learns_alpha),
        values_(layout, prefix, width, heads),
        projection_(layout, prefix + "c_proj.weight", {width, width}) {}

  /// What backward needs of forward.
  struct Tape {
    KeyExtractor::Tape<Scalar> keys;  ///< of the key extractor
    ValueExtractor::Tape<Scalar> values;  ///< of the value extractor
    std::unique_ptr<RegressionPass<Scalar>> pass;  ///< of the regression
    RowMatrix<Scalar> read;  ///< its result, before the projection
    RowMatrix<Scalar> out;  ///< the result
  };

  /// y = projection of the regression of values on keys; x and y are [tokens x width].
  void forward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x, Tape& tape,
               const AnyExecutor& executor) const {
    keys_.forward(parameters, shape, x, tape.keys, executor);
    values_.forward(parameters, shape, x, tape.values, executor);
    if (!tape.pass) tape.pass = kernel_.make_pass();
    tape.read.resize(x.rows(), x.cols());
    const auto key = as_heads(std::as_const(tape.keys.key), shape, heads_);
    tape.pass->forward(width_.shapes(parameters), key, key, as_heads(std::as_const(tape.values.value), shape, heads_),
                       as_heads(tape.read, shape, heads_), executor);
    projection_.forward(parameters, tape.read, tape.out, executor);
  }

  /// What the tokens of sequences leave to those that follow.
  struct Past {
    RowMatrix<Scalar> average;  ///< of the last token: where the keys go on
    RowMatrix<Scalar> linear;   ///< of the last token: where the values go on
    RowMatrix<Scalar> key;      ///< of all tokens: [sequences x capacity]
    RowMatrix<Scalar> value;    ///< of all tokens: [sequences x capacity]
    Index capacity;  ///< tokens that a sequence may grow to

    /// Nothing read yet.
    Past(Index sequences, Index most_tokens, Index width)
        : average(RowMatrix<Scalar>::Zero(sequences, width)),
          linear(RowMatrix<Scalar>::Zero(sequences, width)),
          key(sequences * most_tokens, width),
          value(sequences * most_tokens, width),
          capacity(most_tokens) {}

    /// The first `tokens` tokens of `x`, key or value, as batch x heads x tokens x dim.
    HeadView<const Scalar> heads(const RowMatrix<Scalar>& x, Index tokens, Index count) const {
      return HeadView<const Scalar>(x.data(), average.rows(), count, tokens, x.cols() / count,
                                    {capacity * x.cols(), x.cols() / count, x.cols()});
    }
  };

  /// forward for tokens that follow the `read` ones of the past, which they join.
  void extend(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x, Index read,
              Past& past, Tape& tape, const AnyExecutor& executor) const {
    keys_.extend(parameters, shape, x, past.average, tape.keys, executor);
    values_.extend(parameters, shape, x, past.linear, tape.values, executor);
    const Index n = shape.length;
    const Index waiting = read > 0 ? 1 : 0;  // the value that looks ahead to the first token here
    for (Index s = 0; s < shape.count; ++s) {
      const Index at = s * past.capacity + read;
      past.key.middleRows(at, n) = tape.keys.key.middleRows(s * n, n);
      past.value.middleRows(at - waiting, n + waiting) =
          tape.values.value.middleRows(s * (n + 1) + 1 - waiting, n + waiting);
    }
    if (!tape.pass) tape.pass = kernel_.make_pass();
    tape.read.resize(x.rows(), x.cols());
    tape.pass->forward(width_.shapes(parameters), as_heads(std::as_const(tape.keys.key), shape, heads_),
                       past.heads(past.key, read + n, heads_), past.heads(past.value, read + n, heads_),
                       as_heads(tape.read, shape, heads_), executor);
    projection_.forward(parameters, tape.read, tape.out, executor);
  }

  /// Adds to `grads` and overwrites grad_x.
  void backward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
                const Tape& tape, const RowMatrix<Scalar>& grad_out, Parameters<Scalar>& grads,
                RowMatrix<Scalar>& grad_x, const AnyExecutor& executor) const {
    RowMatrix<Scalar> grad_read;
    projection_.backward(parameters, tape.read, grad_out, grads, grad_read, executor);
    RowMatrix<Scalar> grad_query(x.rows(), x.cols()), grad_key(x.rows(), x.cols()), grad_value(x.rows(), x.cols());
    const std::vector<KernelShape> by_shape =
        tape.pass->backward(as_heads(std::as_const(grad_read), shape, heads_), as_heads(grad_query, shape, heads_),
                            as_heads(grad_key, shape, heads_), as_heads(grad_value, shape, heads_), executor);
    width_.backward(parameters, by_shape, grads);
    grad_key += grad_query;
    RowMatrix<Scalar> by_values;
    keys_.backward(parameters, shape, x, tape.keys, grad_key, grads, grad_x, executor);
    values_.backward(parameters, shape, x, tape.values, grad_value, grads, by_values, executor);
    grad_x += by_values;
  }

 private:
  Index heads_;
  KernelChoice<Scalar> kernel_;
  KeyExtractor keys_;
  KernelWidth width_;
  ValueExtractor values_;
  Linear projection_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
