// Consecutive numbers for 64-bit names.
#pragma once

#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Gives names the numbers 0, 1, ... in the order of their first use. A hash table with open addressing.
class HashIndex {
 public:
  /// A placeholder without cells, to be assigned to.
  HashIndex() = default;
  /// `cells`, a power of two, is how many there are at first.
  explicit HashIndex(std::size_t cells) : cells_(cells) {}

  /// Returns the number of a name, -1 if it has none.
  KeyIndex find(std::uint64_t name) const { return cells_[slot_of(name)].number; }

  /// Returns the number of a name; a new name gets the next.
  KeyIndex insert(std::uint64_t name) {
    std::size_t at = slot_of(name);
    if (cells_[at].number < 0) {
      if (2 * (std::size_t(count_) + 1) > cells_.size()) {
        grow();
        at = slot_of(name);
      }
      cells_[at] = Slot{name, count_++};
    }
    return cells_[at].number;
  }

  KeyIndex size() const { return count_; }

  /// Replaces every number i by to[i].
  void renumber(const std::vector<KeyIndex>& to) {
    for (Slot& slot : cells_) {
      if (slot.number >= 0) slot.number = to[std::size_t(slot.number)];
    }
  }

 private:
  struct Slot {
    std::uint64_t name = 0;
    KeyIndex number = -1;
  };

  /// Returns the slot of a name, or the one it would get.
  std::size_t slot_of(std::uint64_t name) const {
    const std::size_t mask = cells_.size() - 1;
    const std::uint64_t mixed = (name ^ (name >> 32)) * 0x9e3779b97f4a7c15u;
    std::size_t at = std::size_t(mixed >> 32) & mask;
    while (cells_[at].number >= 0 && cells_[at].name != name) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    std::vector<Slot> old(2 * cells_.size());
    old.swap(cells_);
    for (const Slot& slot : old) {
      if (slot.number >= 0) cells_[slot_of(slot.name)] = slot;
    }
  }

  std::vector<Slot> cells_;
  KeyIndex count_ = 0;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
