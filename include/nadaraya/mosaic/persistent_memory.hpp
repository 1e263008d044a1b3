// The persistent memory: regression on pairs of keys and values that training leaves behind.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/mosaic/kernel_width.hpp"
#include "nadaraya/mosaic/key_extractor.hpp"
#include "nadaraya/mosaic/linear.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/regression_pass.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/mosaic/value_scale.hpp"
#include "nadaraya/types.hpp"

#include <string>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Persistent memory: y = W e^{10 value_beta} [softmax(beta^2 k M_k^T) M_v], head by head, k the extracted key of each
/// token, M_k and M_v learned pairs [1 x heads x pairs x dim]. x and y are [tokens x width]. It is the role that a
/// feed-forward layer has elsewhere. Source: arXiv 2405.06394, section 5.
template <class Scalar>
class PersistentMemory {
 public:
  /// Adds its parameters to the layout.
  PersistentMemory(Layout& layout, const std::string& prefix, Index width, Index heads, Index pairs)
      : heads_(heads),
        pairs_(pairs),
        keys_(layout, prefix, width, heads),
        width_(layout, prefix, heads, false),
        scale_(layout, prefix, heads),
        memory_key_(layout.add(prefix + "pmem.M_k0", {1, heads, pairs, width / heads}, width / heads)),
        memory_value_(layout.add(prefix + "pmem.M_v0", {1, heads, pairs, width / heads}, width / heads)),
        projection_(layout, prefix + "c_proj.weight", {width, width}) {}

  /// What backward needs of forward.
  struct Tape {
    KeyExtractor::Tape<Scalar> keys;  ///< of the key extractor
    KernelPass<Scalar, AdaptiveMemory<Gaussian, NoMask>> pass;  ///< of the regression
    RowMatrix<Scalar> read;  ///< its result
    RowMatrix<Scalar> scaled;  ///< the result times e^(10 value_beta), before the projection
    RowMatrix<Scalar> out;  ///< the result
  };

  /// y = projection of the regression on the learned pairs; x and y are [tokens x width].
  void forward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x, Tape& tape,
               const AnyExecutor& executor) const {
    keys_.forward(parameters, shape, x, tape.keys, executor);
    look_up(parameters, tape, executor);
  }

  /// forward for tokens behind others; `last` is the key extractor's.
  void extend(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x,
              RowMatrix<Scalar>& last, Tape& tape, const AnyExecutor& executor) const {
    keys_.extend(parameters, shape, x, last, tape.keys, executor);
    look_up(parameters, tape, executor);
  }

  /// Adds to `grads` and overwrites grad_x.
  void backward(const Parameters<Scalar>& parameters, const Sequences& shape, const RowMatrix<Scalar>& x, Tape& tape,
                const RowMatrix<Scalar>& grad_out, Parameters<Scalar>& grads, RowMatrix<Scalar>& grad_x,
                const AnyExecutor& executor) const {
    RowMatrix<Scalar> grad_read;
    projection_.backward(parameters, tape.scaled, grad_out, grads, grad_read, executor);
    scale_.backward(parameters, tape.read, grad_read, grads, grad_read, executor);
    const Sequences all{1, x.rows()};
    RowMatrix<Scalar> grad_key(x.rows(), x.cols());
    RowMatrix<Scalar> grad_memory_key(memory_key_.rows, memory_key_.cols);
    RowMatrix<Scalar> grad_memory_value(memory_key_.rows, memory_key_.cols);
    const auto by_head = [&](RowMatrix<Scalar>& m) {
      return HeadView<Scalar>::bhnd(m.data(), 1, heads_, pairs_, m.cols());
    };
    const std::vector<KernelShape> by_shape =
        tape.pass.backward(as_heads(std::as_const(grad_read), all, heads_), as_heads(grad_key, all, heads_),
                           by_head(grad_memory_key), by_head(grad_memory_value), executor);
    width_.backward(parameters, by_shape, grads);
    grads[memory_key_] += grad_memory_key;
    grads[memory_value_] += grad_memory_value;
    keys_.backward(parameters, shape, x, tape.keys, grad_key, grads, grad_x, executor);
  }

 private:
  /// From tape.keys on.
  void look_up(const Parameters<Scalar>& parameters, Tape& tape, const AnyExecutor& executor) const {
    tape.read.resize(tape.keys.key.rows(), tape.keys.key.cols());
    // The pairs are the same for all tokens: one long sequence.
    const Sequences all{1, tape.read.rows()};
    tape.pass.forward(width_.shapes(parameters), as_heads(std::as_const(tape.keys.key), all, heads_),
                      pairs(parameters, memory_key_), pairs(parameters, memory_value_), as_heads(tape.read, all, heads_),
                      executor);
    scale_.forward(parameters, tape.read, tape.scaled, executor);
    projection_.forward(parameters, tape.scaled, tape.out, executor);
  }

  HeadView<const Scalar> pairs(const Parameters<Scalar>& parameters, const Slot& slot) const {
    return HeadView<const Scalar>::bhnd(parameters[slot].data(), 1, heads_, pairs_, slot.cols);
  }

  Index heads_;
  Index pairs_;
  KeyExtractor keys_;
  KernelWidth width_;
  ValueScale scale_;
  Slot memory_key_;
  Slot memory_value_;
  Linear projection_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
