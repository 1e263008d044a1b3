// A mix as the engine calls it: once for each row, so that the engine is compiled once for all mixes.
#pragma once

#include "nadaraya/types.hpp"
#include "nadaraya/weighted_keys.hpp"

#include <any>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// See mix/mix.hpp for what its functions mean. The weighted mean of the values has none: a null pointer stands for it.
template <class Scalar>
class RowMix {
 public:
  RowMix() = default;
  RowMix(const RowMix&) = delete;
  RowMix& operator=(const RowMix&) = delete;
  virtual ~RowMix() = default;

  /// Throws std::invalid_argument if it is not for keys of a number of columns.
  virtual void validate(Index dimension) const = 0;

  /// `memory` is the mix's own, of whatever type, kept from row to row.
  virtual void correct(const WeightedKeys<Scalar>& support, std::span<Scalar> corrected, std::any& memory) const = 0;

  /// After correct() of the same support with the same memory. Returns dL/dridge.
  virtual Scalar pullback(const WeightedKeys<Scalar>& support, std::span<const Scalar> grad_corrected,
                          const WeightedKeyGradients<Scalar>& gradients, std::any& memory) const = 0;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
