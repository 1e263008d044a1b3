// A Memory Mosaic: a language model whose every layer is a kernel regression.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/block.hpp"
#include "nadaraya/mosaic/cross_entropy.hpp"
#include "nadaraya/mosaic/dropout.hpp"
#include "nadaraya/mosaic/embedding.hpp"
#include "nadaraya/mosaic/layer_norm.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/regression_pass.hpp"
#include "nadaraya/mosaic/sequences.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// The sizes of a model.
struct ModelSize {
  Index vocabulary = 1;  ///< different tokens
  Index layers = 4;  ///< blocks
  Index heads = 4;  ///< of each memory; divides width
  Index width = 128;  ///< of a token's vector
  Index pairs = 512;  ///< of each head's persistent memory

  /// Throws std::invalid_argument if a size is below 1, or heads does not divide width.
  void validate() const {
    const auto positive = [](Index n, const char* name) {
      nadaraya::detail::require(n >= 1, "mosaic::Model: ", name, " must be at least 1, got ", n);
    };
    positive(vocabulary, "vocabulary");
    positive(layers, "layers");
    positive(heads, "heads");
    positive(width, "width");
    positive(pairs, "pairs");
    nadaraya::detail::require(width % heads == 0, "mosaic::Model: heads must divide width, got ", heads, " and ", width);
  }
};

/// A language model: tokens -> embedding -> blocks -> layer norm -> logits = x E^T / sqrt(width). A model holds no numbers:
/// parameters and what backward needs are arguments. Results do not depend on the executor. Source: arXiv 2405.06394;
/// kernels: arXiv 2601.22766.
template <class Scalar>
class Model {
 public:
  /// Throws std::invalid_argument if a size is below 1, or heads does not divide width.
  Model(const ModelSize& size, const KernelChoice<Scalar>& kernel)
      : size_(validated(size)), embedding_(layout_, size.vocabulary, size.width), norm_(make_blocks(kernel), "ln_out.", size.width) {}

  const ModelSize& size() const { return size_; }  ///< The sizes.
  const Layout& layout() const { return layout_; }  ///< The parameters' names, shapes and places.

  /// What backward needs of forward.
  struct Tape {
    std::vector<int> tokens;  ///< as read
    Sequences shape;  ///< of the tokens
    Dropout dropout;  ///< of the forward pass
    RowMatrix<Scalar> x;  ///< before the last layer norm, [tokens x width]
    std::vector<typename Block<Scalar>::Tape> blocks;  ///< of each block
    LayerNorm::Tape<Scalar> norm;  ///< of the last layer norm
    RowMatrix<Scalar> logits;  ///< the result, [tokens x vocabulary]
  };

  /// Throws std::invalid_argument if the tokens are not of the shape, or outside the vocabulary. A tape
  /// may be used again, and then keeps its memory.
  void forward(const Parameters<Scalar>& parameters, std::span<const int> tokens, const Sequences& shape, Tape& tape,
               const AnyExecutor& executor, const Dropout& dropout = {}) const {
    require_parameters(parameters);
    nadaraya::detail::require(shape.count >= 0 && shape.length >= 0 && shape.tokens() == static_cast<Index>(tokens.size()),
                              "mosaic::Model::forward: there are ", tokens.size(), " tokens for ", shape.count,
                              " sequences of ", shape.length);
    embedding_.validate(tokens, "mosaic::Model::forward");
    dropout.validate();
    tape.tokens.assign(tokens.begin(), tokens.end());
    tape.shape = shape;
    tape.dropout = dropout;
    tape.blocks.resize(blocks_.size());
    embedding_.forward(parameters, tokens, tape.x);
    dropout.apply(0, tape.x, executor);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      blocks_[b].forward(parameters, shape, dropout, tape.x, tape.blocks[b], executor);
    }
    norm_.forward(parameters, tape.x, tape.norm, executor);
    embedding_.logits(parameters, tape.norm.out, tape.logits, executor);
  }

  /// What sequences that grow have read so far: the way to generate, where each token is read once.
  struct Past {
    Index sequences = 0;  ///< that grow together
    Index capacity = 0;  ///< tokens that a sequence may grow to
    Index tokens = 0;    ///< that each has read
    std::vector<typename Block<Scalar>::Past> blocks;  ///< of each block
  };

  /// Nothing read yet. Throws std::invalid_argument if a number is negative.
  Past past(Index sequences, Index capacity) const {
    nadaraya::detail::require(sequences >= 0 && capacity >= 0, "mosaic::Model::past: there are ", sequences,
                              " sequences of at most ", capacity, " tokens");
    Past result{sequences, capacity, 0, {}};
    for (Index b = 0; b < size_.layers; ++b) result.blocks.emplace_back(sequences, capacity, size_.width);
    return result;
  }

  /// forward without dropout for tokens, as many for each sequence, that follow those of the past, which
  /// they join: logits as if all had been read at once, of these tokens only. A token costs what it would
  /// have cost as the last one there. The tape is of no use to backward.
  /// Throws std::invalid_argument, and changes nothing, if there are no tokens, not as many for each
  /// sequence, more than fit, or one is outside the vocabulary.
  void extend(const Parameters<Scalar>& parameters, std::span<const int> tokens, Past& past, Tape& tape,
              const AnyExecutor& executor) const {
    require_parameters(parameters);
    const auto count = static_cast<Index>(tokens.size());
    nadaraya::detail::require(past.sequences > 0 && count > 0 && count % past.sequences == 0,
                              "mosaic::Model::extend: there are ", count, " tokens for ", past.sequences, " sequences");
    const Sequences shape{past.sequences, count / past.sequences};
    nadaraya::detail::require(shape.length <= past.capacity - past.tokens, "mosaic::Model::extend: there are ",
                              past.tokens, " and ", shape.length, " tokens for a capacity of ", past.capacity);
    embedding_.validate(tokens, "mosaic::Model::extend");
    tape.blocks.resize(blocks_.size());
    embedding_.forward(parameters, tokens, tape.x);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      blocks_[b].extend(parameters, shape, past.tokens, past.blocks[b], tape.x, tape.blocks[b], executor);
    }
    past.tokens += shape.length;
    norm_.forward(parameters, tape.x, tape.norm, executor);
    embedding_.logits(parameters, tape.norm.out, tape.logits, executor);
  }

  /// Adds the gradients of the parameters to `grads`, given dL/dlogits and the tape of forward.
  void backward(const Parameters<Scalar>& parameters, Tape& tape, const RowMatrix<Scalar>& grad_logits,
                Parameters<Scalar>& grads, const AnyExecutor& executor) const {
    require_parameters(parameters);
    require_parameters(grads);
    nadaraya::detail::require(grad_logits.rows() == tape.logits.rows() && grad_logits.cols() == tape.logits.cols(),
                              "mosaic::Model::backward: grad_logits must be ", nadaraya::detail::shape(tape.logits),
                              " like the logits, got ", nadaraya::detail::shape(grad_logits));
    RowMatrix<Scalar> by_norm, grad;
    embedding_.logits_backward(parameters, tape.norm.out, grad_logits, grads, by_norm, executor);
    norm_.backward(parameters, tape.norm, by_norm, grads, grad, executor);
    for (std::size_t b = blocks_.size(); b-- > 0;) {
      blocks_[b].backward(parameters, tape.shape, tape.dropout, tape.blocks[b], grad, grads, executor);
    }
    tape.dropout.apply(0, grad, executor);
    embedding_.backward(std::span<const int>(tape.tokens), grad, grads);
  }

 private:
  static const ModelSize& validated(const ModelSize& size) {
    size.validate();
    return size;
  }

  Layout& make_blocks(const KernelChoice<Scalar>& kernel) {
    for (Index b = 0; b < size_.layers; ++b) blocks_.emplace_back(layout_, b, size_.width, size_.heads, size_.pairs, kernel);
    return layout_;
  }

  void require_parameters(const Parameters<Scalar>& parameters) const {
    nadaraya::detail::require(parameters.size() == layout_.size(), "mosaic::Model: there are ", parameters.size(),
                              " numbers for ", layout_.size(), " parameters");
  }

  ModelSize size_;
  Layout layout_;
  Embedding embedding_;
  std::vector<Block<Scalar>> blocks_;
  LayerNorm norm_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
