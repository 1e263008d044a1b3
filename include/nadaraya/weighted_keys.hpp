// A query with the keys of its support and their weights, as a mix reads them.
#pragma once

#include "nadaraya/types.hpp"

#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A query and the keys of its support, with their weights.
template <class Scalar>
struct WeightedKeys {
  const Scalar* query = nullptr;    ///< [D]
  const Scalar* keys = nullptr;     ///< [s x D], row by row
  Index dimension = 0;              ///< D
  std::span<const Scalar> weights;  ///< [s], positive and finite

  Index size() const { return static_cast<Index>(weights.size()); }
};

/// Where a mix writes the gradients of a loss; each element is assigned. The gradient by the keys and the query is the one
/// at fixed weights: that through the weights comes on top of it.
template <class Scalar>
struct WeightedKeyGradients {
  std::span<Scalar> weights;  ///< [s]
  Scalar* query = nullptr;    ///< [D]
  Scalar* keys = nullptr;     ///< [s x D], row by row
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
