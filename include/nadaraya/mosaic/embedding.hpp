// The token embedding, and the head that shares its weights.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/product.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Token vectors. In: x_t = E[token_t]. Out: logits = x E^T / sqrt(width). E is [vocabulary x width], and its gradient the
/// sum of both uses. Source: Press & Wolf 2017, arXiv 1608.05859.
class Embedding {
 public:
  /// Adds the table [vocabulary x width] to the layout.
  Embedding(Layout& layout, Index vocabulary, Index width)
      : weight_(layout.add("emb.weight", {vocabulary, width}, width)) {}

  Index vocabulary() const { return weight_.rows; }  ///< How many tokens there are.

  /// Throws std::invalid_argument if a token is not in [0, vocabulary).
  void validate(std::span<const int> tokens, const char* function) const {
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      nadaraya::detail::require(tokens[t] >= 0 && tokens[t] < vocabulary(), function, ": token ", t, " is ", tokens[t],
                                ", and the vocabulary has ", vocabulary());
    }
  }

  /// x_t = row of token t, [tokens x width].
  template <class Scalar>
  void forward(const Parameters<Scalar>& parameters, std::span<const int> tokens, RowMatrix<Scalar>& x) const {
    const auto weight = parameters[weight_];
    x.resize(static_cast<Index>(tokens.size()), weight.cols());
    for (std::size_t t = 0; t < tokens.size(); ++t) x.row(static_cast<Index>(t)) = weight.row(tokens[t]);
  }

  /// Adds to `grads`, token after token.
  template <class Scalar>
  void backward(std::span<const int> tokens, const RowMatrix<Scalar>& grad_x, Parameters<Scalar>& grads) const {
    auto weight = grads[weight_];
    for (std::size_t t = 0; t < tokens.size(); ++t) weight.row(tokens[t]) += grad_x.row(static_cast<Index>(t));
  }

  /// out = x E^T / sqrt(width), [tokens x vocabulary].
  template <class Scalar>
  void logits(const Parameters<Scalar>& parameters, const RowMatrix<Scalar>& x, RowMatrix<Scalar>& out,
              const AnyExecutor& executor) const {
    multiply_transposed(x, parameters[weight_], out, executor);
    out *= factor<Scalar>();
  }

  /// Adds to `grads` and overwrites grad_x.
  template <class Scalar>
  void logits_backward(const Parameters<Scalar>& parameters, const RowMatrix<Scalar>& x,
                       const RowMatrix<Scalar>& grad_logits, Parameters<Scalar>& grads, RowMatrix<Scalar>& grad_x,
                       const AnyExecutor& executor) const {
    const RowMatrix<Scalar> scaled = factor<Scalar>() * grad_logits;
    add_transposed_product(scaled, x, grads[weight_], executor);
    multiply(scaled, parameters[weight_], grad_x, executor);
  }

 private:
  template <class Scalar>
  Scalar factor() const {
    using std::sqrt;
    return Scalar(1) / sqrt(Scalar(weight_.cols));
  }

  Slot weight_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
