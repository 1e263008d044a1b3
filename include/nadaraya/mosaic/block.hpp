// One block: a contextual and a persistent memory, each added to its input.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/contextual_memory.hpp"
#include "nadaraya/mosaic/dropout.hpp"
#include "nadaraya/mosaic/layer_norm.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/persistent_memory.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/types.hpp"

#include <cstdint>
#include <string>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// A block: x += contextual(norm x), then x += persistent(norm x); dropout on the added terms. Source: arXiv 2405.06394,
/// section 6.
template <class Scalar>
class Block {
 public:
  /// Adds its parameters to the layout, under the names blocks.0.* for number 0.
  Block(Layout& layout, Index number, Index width, Index heads, Index pairs, const KernelChoice<Scalar>& kernel)
      : site_(static_cast<std::uint64_t>(2 * number + 1)),
        contextual_norm_(layout, prefix(number) + "ln1.", width),
        contextual_(layout, prefix(number) + "attn.", width, heads, kernel),
        persistent_norm_(layout, prefix(number) + "ln2.", width),
        persistent_(layout, prefix(number) + "pmem.", width, heads, pairs) {}

  /// What backward needs of forward.
  struct Tape {
    LayerNorm::Tape<Scalar> contextual_norm;  ///< of the first layer norm
    typename ContextualMemory<Scalar>::Tape contextual;  ///< of the contextual memory
    LayerNorm::Tape<Scalar> persistent_norm;  ///< of the second layer norm
    typename PersistentMemory<Scalar>::Tape persistent;  ///< of the persistent memory
  };

  /// In place.
  void forward(const Parameters<Scalar>& parameters, const Sequences& shape, const Dropout& dropout,
               RowMatrix<Scalar>& x, Tape& tape, const AnyExecutor& executor) const {
    contextual_norm_.forward(parameters, x, tape.contextual_norm, executor);
    contextual_.forward(parameters, shape, tape.contextual_norm.out, tape.contextual, executor);
    dropout.apply(site_, tape.contextual.out, executor);
    x += tape.contextual.out;
    persistent_norm_.forward(parameters, x, tape.persistent_norm, executor);
    persistent_.forward(parameters, shape, tape.persistent_norm.out, tape.persistent, executor);
    dropout.apply(site_ + 1, tape.persistent.out, executor);
    x += tape.persistent.out;
  }

  /// What the tokens of sequences leave to those that follow.
  struct Past {
    typename ContextualMemory<Scalar>::Past contextual;  ///< of the contextual memory
    RowMatrix<Scalar> persistent;  ///< the leaky average of the persistent memory's keys

    /// Nothing read yet.
    Past(Index sequences, Index most_tokens, Index width)
        : contextual(sequences, most_tokens, width), persistent(RowMatrix<Scalar>::Zero(sequences, width)) {}
  };

  /// forward, in place, for tokens that follow the `read` ones of the past, which they join.
  void extend(const Parameters<Scalar>& parameters, const Sequences& shape, Index read, Past& past, RowMatrix<Scalar>& x,
              Tape& tape, const AnyExecutor& executor) const {
    contextual_norm_.forward(parameters, x, tape.contextual_norm, executor);
    contextual_.extend(parameters, shape, tape.contextual_norm.out, read, past.contextual, tape.contextual, executor);
    x += tape.contextual.out;
    persistent_norm_.forward(parameters, x, tape.persistent_norm, executor);
    persistent_.extend(parameters, shape, tape.persistent_norm.out, past.persistent, tape.persistent, executor);
    x += tape.persistent.out;
  }

  /// Turns the gradient by the result into the one by x. Adds to `grads`.
  void backward(const Parameters<Scalar>& parameters, const Sequences& shape, const Dropout& dropout, Tape& tape,
                RowMatrix<Scalar>& grad, Parameters<Scalar>& grads, const AnyExecutor& executor) const {
    RowMatrix<Scalar> added = grad, by_input, by_x;
    dropout.apply(site_ + 1, added, executor);
    persistent_.backward(parameters, shape, tape.persistent_norm.out, tape.persistent, added, grads, by_input, executor);
    persistent_norm_.backward(parameters, tape.persistent_norm, by_input, grads, by_x, executor);
    grad += by_x;
    added = grad;
    dropout.apply(site_, added, executor);
    contextual_.backward(parameters, shape, tape.contextual_norm.out, tape.contextual, added, grads, by_input, executor);
    contextual_norm_.backward(parameters, tape.contextual_norm, by_input, grads, by_x, executor);
    grad += by_x;
  }

 private:
  static std::string prefix(Index number) { return "blocks." + std::to_string(number) + "."; }

  std::uint64_t site_;
  LayerNorm contextual_norm_;
  ContextualMemory<Scalar> contextual_;
  LayerNorm persistent_norm_;
  PersistentMemory<Scalar> persistent_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
