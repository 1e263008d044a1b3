// The work of a forward call in units: a head, or a group of heads, in blocks of queries or, if there are few, parts of keys.
#pragma once

#include "nadaraya/engine/batch.hpp"
#include "nadaraya/engine/forward.hpp"
#include "nadaraya/engine/head_group.hpp"
#include "nadaraya/engine/key_parts.hpp"
#include "nadaraya/engine/work_items.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"

#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar>
class ForwardUnits {
 public:
  ForwardUnits(const Batch<Scalar>& batch, std::span<const MatrixMap<Scalar>> outs,
               std::span<const std::span<Record<Scalar>>> records, Arena& memory)
      : batch_(batch), outs_(outs), records_(records), units_(&memory), items_(memory) {
    for (std::size_t h = 0; h < batch.size(); h += units_.back().heads) {
      Unit unit{h, 1, KeyParts{}, parts_};
      if constexpr (vectorized<Scalar>) {
        unit.heads = group_size(batch.planned(h, batch.size()));
        unit.parts = key_parts(batch.planned(h, h + unit.heads));
        if (unit.parts.count > 1) parts_ += static_cast<std::size_t>(unit.parts.count);
      }
      units_.push_back(unit);
      items_.add(unit.parts.count > 1 ? unit.parts.count : batch.planned(h).blocks());
    }
  }

  Index items() const { return items_.total(); }
  /// Item i, of unit after unit, or such that units take turns.
  WorkItems::Item one_after_the_other(Index i) const { return items_[i]; }
  WorkItems::Item in_turn(Index i, Index at_once) const { return items_.in_turn(i, at_once); }
  std::size_t count() const { return units_.size(); }
  /// Do two units read the same keys? Units that do follow one another.
  bool same_keys(std::size_t unit, std::size_t other) const { return key_head(unit) == key_head(other); }
  /// What a unit reads that another has not read. Caches are not read from one end to the other.
  RowsAhead<Scalar> rows(std::size_t unit, std::size_t other) const {
    const Head<Scalar>& head = batch_.planned(units_[unit].first_head);
    RowsAhead<Scalar> ahead;
    if (batch_.problem(units_[unit].first_head).cached != nullptr) return ahead;
    if (!same_keys(unit, other)) {
      ahead.add(head.key());
      ahead.add(head.value());
    }
    ahead.add(head.query);
    return ahead;
  }
  bool in_parts() const { return parts_ > 0; }

  /// Before the items are worked on, if there are parts: these stay in `shared` until all are done.
  void begin_parts(BlockScratch<Scalar>& shared) {
    if (shared.parts.size() < parts_) shared.parts.resize(parts_);
    for (const Unit& unit : units_) {
      if (unit.parts.count > 1) shared.parts[unit.first_part].left = unit.parts.count;
    }
    shared_ = shared.parts;
  }

  void work_on(const WorkItems::Item& item, BlockScratch<Scalar>& scratch) const {
    const Unit& unit = units_[item.head];
    const Index i = item.item;
    if (unit.heads == 1) {
      work_on(unit, batch_.head(unit.first_head), i, scratch, outs_[unit.first_head]);
      return;
    }
    if constexpr (vectorized<Scalar>) {
      HeadGroup<Scalar> group(batch_.heads(unit.first_head, unit.first_head + unit.heads), scratch);
      if (work_on(unit, group.head(), i, scratch, group.rows())) group.copy_rows(outs_.subspan(unit.first_head, unit.heads));
    }
  }

 private:
  Index key_head(std::size_t unit) const { return batch_.problem(units_[unit].first_head).key_head; }

  struct Unit {
    std::size_t first_head;
    std::size_t heads;
    KeyParts parts;
    std::size_t first_part;  ///< of all parts of the call
  };

  /// Returns whether the rows have been written.
  bool work_on(const Unit& unit, const Head<Scalar>& head, Index i, BlockScratch<Scalar>& scratch,
               const MatrixMap<Scalar>& out) const {
    Record<Scalar>* records[most_grouped];
    const bool parted = unit.parts.count > 1;
    const auto block = static_cast<std::size_t>(parted ? 0 : i);
    std::size_t recorded = 0;
    for (std::size_t h = unit.first_head; h < unit.first_head + unit.heads; ++h) {
      if (!records_[h].empty()) records[recorded++] = &records_[h][block];
    }
    const Records<Scalar> to(records, recorded);
    if constexpr (vectorized<Scalar>) {
      if (parted) {
        return forward_part(head, unit.parts.part(i), i,
                            shared_.subspan(unit.first_part, static_cast<std::size_t>(unit.parts.count)), scratch, out, to);
      }
    }
    forward_block(head, i, scratch, out, to);
    return true;
  }

  const Batch<Scalar>& batch_;
  std::span<const MatrixMap<Scalar>> outs_;
  std::span<const std::span<Record<Scalar>>> records_;
  LineVector<Unit> units_;
  WorkItems items_;
  std::size_t parts_ = 0;
  std::span<KeyPart<Scalar>> shared_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
