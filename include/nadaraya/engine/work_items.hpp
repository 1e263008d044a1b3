// The work items of several heads, numbered through.
#pragma once

#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

class WorkItems {
 public:
  explicit WorkItems(Arena& memory) : ends_(&memory) {}

  /// Those of the next head.
  void add(Index items) {
    alike_ = alike_ && (ends_.empty() || items == ends_.front());
    ends_.push_back(total() + items);
  }
  Index total() const { return ends_.empty() ? 0 : ends_.back(); }

  struct Item {
    std::size_t head;
    Index item;
  };
  Item operator[](Index i) const {
    const auto head = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), i) - ends_.begin());
    return Item{head, head == 0 ? i : i - ends_[head - 1]};
  }

  /// In an order in which `at_once` heads take turns, and then the next ones, if they have equally many.
  Item in_turn(Index i, Index at_once) const {
    if (!alike_) return (*this)[i];
    const auto heads = static_cast<Index>(ends_.size());
    const Index some = (std::min)(at_once, heads);
    const Index first = i / (some * ends_.front()) * some;  // of them
    const Index taking = (std::min)(some, heads - first);
    const Index left = i - first * ends_.front();
    return Item{static_cast<std::size_t>(first + left % taking), left / taking};
  }

 private:
  LineVector<Index> ends_;
  bool alike_ = true;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
