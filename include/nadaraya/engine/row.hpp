// One row's candidates: the keys that may have weight, and their similarities.
#pragma once

#include "nadaraya/types.hpp"

#include <cstddef>
#include <utility>
#include <vector>

namespace nadaraya {

/// Parallel arrays; `key` ascends while candidates are gathered.
template <class Scalar>
struct Row {
  std::vector<KeyIndex> key;
  std::vector<Scalar> similarity;

  std::size_t size() const { return key.size(); }
  bool empty() const { return key.empty(); }

  void clear() {
    key.clear();
    similarity.clear();
  }

  void push(KeyIndex j, const Scalar& z) {
    key.push_back(j);
    similarity.push_back(z);
  }

  /// Keeps the entries at the given positions, in the given order.
  void keep(const std::vector<std::size_t>& positions) {
    Row kept;
    kept.key.reserve(positions.size());
    kept.similarity.reserve(positions.size());
    for (const std::size_t position : positions) kept.push(key[position], similarity[position]);
    *this = std::move(kept);
  }

  /// Drops, in place and in order, every entry whose similarity is at or below the floor. NaN stays.
  void prune(const Scalar& floor) {
    std::size_t kept = 0;
    for (std::size_t j = 0; j < key.size(); ++j) {
      if (similarity[j] <= floor) continue;
      key[kept] = key[j];
      similarity[kept] = similarity[j];
      ++kept;
    }
    key.resize(kept);
    similarity.resize(kept);
  }
};

}  // namespace nadaraya
