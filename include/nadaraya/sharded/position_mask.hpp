// The mask of an operator as a rank's engine calls it: by the positions of its keys among all.
#pragma once

#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/sharded/key_positions.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// A mask whose queries are counted from the first of a call's, and whose keys from the first of a rank. Refers to the mask.
template <class Scalar>
class PositionMask final : public engine::RowMask<Scalar> {
  using KeyList = engine::KeyList;

 public:
  /// `all`: the numbers of all queries and keys.
  PositionMask(const engine::RowMask<Scalar>& mask, const KeyPositions& positions, Index first_query, const Extent& all)
      : engine::RowMask<Scalar>(mask.traits()), mask_(mask), positions_(positions), first_query_(first_query), all_(all) {}

  KeyRange range(Index query, const Extent& n) const override {
    const KeyRange range = mask_.range(first_query_ + query, all_);
    const Index first = (std::min)(n.keys, positions_.before(range.first));
    return KeyRange{first, (std::max)(first, (std::min)(n.keys, positions_.before(range.last)))};
  }

  std::uint64_t visible(Index query, Index first, Index count, const Extent&) const override {
    if (positions_.page == positions_.stride) return mask_.visible(first_query_ + query, positions_[first], count, all_);
    std::uint64_t bits = 0;
    for (Index j = 0; j < count; ++j) bits |= mask_.visible(first_query_ + query, positions_[first + j], 1, all_) << j;
    return bits;
  }

  void add_bias(Index query, const KeyList& keys, const Extent&, Scalar* z) const override {
    for_each_part(keys, [&](const KeyList& part, Index at) { mask_.add_bias(first_query_ + query, part, all_, z + at); });
  }

  std::unique_ptr<engine::OwnGradient> no_gradient() const override { return mask_.no_gradient(); }

  void pull_parameters(Index query, const KeyList& keys, const Extent&, const Scalar* dz, engine::OwnGradient& sum) const override {
    for_each_part(keys, [&](const KeyList& part, Index at) {
      mask_.pull_parameters(first_query_ + query, part, all_, dz + at, sum);
    });
  }

 private:
  /// visit(part, place of its first key in the list) for the keys as the mask counts them.
  template <class Visit>
  void for_each_part(const KeyList& keys, const Visit& visit) const {
    constexpr Index most = 64;
    KeyIndex part[most];
    for (Index first = 0; first < keys.count; first += most) {
      const Index count = (std::min)(most, keys.count - first);
      for (Index j = 0; j < count; ++j) part[j] = static_cast<KeyIndex>(positions_[keys[first + j]]);
      visit(KeyList::listed(part, count), first);
    }
  }

  const engine::RowMask<Scalar>& mask_;
  KeyPositions positions_;
  Index first_query_;
  Extent all_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
