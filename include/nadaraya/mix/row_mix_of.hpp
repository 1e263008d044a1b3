// The interface that the engine calls, implemented by a mix policy.
#pragma once

#include "nadaraya/engine/row_mix.hpp"
#include "nadaraya/mix/mix.hpp"
#include "nadaraya/types.hpp"

#include <any>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar, class X>
class RowMixOf final : public RowMix<Scalar> {
 public:
  /// Refers to the mix.
  explicit RowMixOf(const X& mix) : mix_(mix) {}

  void validate(Index dimension) const override { mix_.template validate<Scalar>(dimension); }

  void correct(const WeightedKeys<Scalar>& support, std::span<Scalar> corrected, std::any& memory) const override {
    mix_.correct(support, corrected, scratch(memory));
  }

  Scalar pullback(const WeightedKeys<Scalar>& support, std::span<const Scalar> grad_corrected,
                  const WeightedKeyGradients<Scalar>& gradients, std::any& memory) const override {
    return mix_.pullback(support, grad_corrected, gradients, scratch(memory));
  }

 private:
  using Scratch = typename X::template Scratch<Scalar>;

  /// The memory may be that of another mix.
  static Scratch& scratch(std::any& memory) {
    Scratch* const kept = std::any_cast<Scratch>(&memory);
    return kept != nullptr ? *kept : memory.emplace<Scratch>();
  }

  const X& mix_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
