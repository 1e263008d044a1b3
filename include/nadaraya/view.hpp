// Rows and lists of rows as the engine reads them.
#pragma once

#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Rows `stride` apart, each contiguous.
template <class Scalar>
struct View {
  const Scalar* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  const Scalar* row(Index i) const { return data + i * stride; }
  auto eigen_row(Index i) const {
    return Eigen::Map<const Eigen::Matrix<Scalar, 1, Eigen::Dynamic>>(row(i), cols);
  }
};

/// Some keys: those of a list or, without one, consecutive ones.
struct KeyList {
  const KeyIndex* list = nullptr;
  Index first = 0;
  Index count = 0;

  Index operator[](Index j) const { return list != nullptr ? Index(list[j]) : first + j; }

  static KeyList listed(const KeyIndex* keys, Index count) { return KeyList{keys, 0, count}; }
  static KeyList range(Index first, Index last) { return KeyList{nullptr, first, last - first}; }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
