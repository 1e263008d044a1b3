// A query with the keys of its support and their weights, as a mix reads them.
#pragma once

#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A query and the keys of its support, with their weights.
template <class Scalar>
struct WeightedKeys {
  const Scalar* query = nullptr;    ///< [D]
  engine::View<Scalar> rows;        ///< what holds the keys; D columns
  engine::KeyList keys;             ///< which of the rows are the keys, s of them
  std::span<const Scalar> weights;  ///< [s], positive and finite

  /// s
  Index size() const { return static_cast<Index>(weights.size()); }
  /// D
  Index dimension() const { return rows.cols; }
  /// The j-th key, [D].
  const Scalar* key(Index j) const { return rows.row(keys[j]); }
  /// The keys [s x D] of a contiguous matrix.
  static WeightedKeys of(const Scalar* query, const Scalar* keys, Index dimension, std::span<const Scalar> weights) {
    const auto size = static_cast<Index>(weights.size());
    return {query, {keys, size, dimension, dimension}, engine::KeyList::range(0, size), weights};
  }
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
