// The mask of an operator over keys of which the first have been forgotten but are still stored.
#pragma once

#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// A mask for which the first `offset` keys do not exist: it counts keys from the one after them. Refers to the mask.
template <class Scalar>
class OffsetMask final : public RowMask<Scalar> {
 public:
  OffsetMask(const RowMask<Scalar>& mask, Index offset) : RowMask<Scalar>(mask.traits()), mask_(&mask), offset_(offset) {}

  bool is_of(const RowMask<Scalar>& mask, Index offset) const { return mask_ == &mask && offset_ == offset; }

  KeyRange range(Index query, const Extent& n) const override {
    const KeyRange range = mask_->range(query, rest(n));
    return KeyRange{range.first + offset_, range.last + offset_};
  }

  std::uint64_t visible(Index query, Index first, Index count, const Extent& n) const override {
    return mask_->visible(query, first - offset_, count, rest(n));
  }

  void add_bias(Index query, const KeyList& keys, const Extent& n, Scalar* z) const override {
    for_each_part(keys, [&](const KeyList& part, Index at) { mask_->add_bias(query, part, rest(n), z + at); });
  }

  std::unique_ptr<OwnGradient> no_gradient() const override { return mask_->no_gradient(); }

  void pull_parameters(Index query, const KeyList& keys, const Extent& n, const Scalar* dz, OwnGradient& sum) const override {
    for_each_part(keys, [&](const KeyList& part, Index at) { mask_->pull_parameters(query, part, rest(n), dz + at, sum); });
  }

 private:
  Extent rest(const Extent& n) const { return Extent{n.queries, n.keys - offset_}; }

  /// visit(part, position of its first key in the list) for the keys as the mask counts them.
  template <class Visit>
  void for_each_part(const KeyList& keys, const Visit& visit) const {
    if (keys.list == nullptr) {
      visit(KeyList::range(keys.first - offset_, keys.first - offset_ + keys.count), Index(0));
      return;
    }
    constexpr Index most = 64;
    KeyIndex part[most];
    for (Index first = 0; first < keys.count; first += most) {
      const Index count = (std::min)(most, keys.count - first);
      for (Index j = 0; j < count; ++j) part[j] = static_cast<KeyIndex>(keys[first + j] - offset_);
      visit(KeyList::listed(part, count), first);
    }
  }

  const RowMask<Scalar>* mask_;
  Index offset_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
