// Rows in memory as the product loop reads them.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/blocks.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Makes room for `size` entries: at least twice the capacity if it must grow, so that a list that grows in small steps
/// is seldom copied.
template <class List>
void reserve_more(List& list, std::size_t size) {
  if (size > list.capacity()) list.reserve((std::max)(size, 2 * list.capacity()));
}

/// Rows with zero in the place of every NaN and infinity, so that a product may run over what has no
/// weight: there 0 x is 0. Copied only if there is one.
template <class Scalar>
class FiniteRows {
 public:
  /// Copies are in memory of an arena or, without one, of the heap.
  explicit FiniteRows(Arena* memory = nullptr) : copy_(memory) {}
  /// The rows must outlive this object.
  explicit FiniteRows(const View<Scalar>& rows, Arena* memory = nullptr) : copy_(memory) { read(rows, 0); }

  /// The same for other rows, of which [0, kept) are as they were the last time. Rows that are stored in 16 bits are not
  /// copied: they are to be made finite where they are read.
  void read(const StoredRows<Scalar>& stored, [[maybe_unused]] Index kept) {
    const View<Scalar>& rows = stored.view();
    view_ = rows;
    if constexpr (vectorized<Scalar>) {
      while (!replaced_.empty() && replaced_.back() >= kept) replaced_.pop_back();
      const bool together = !stored.narrow() && rows.stride == rows.cols;
      if (!together || !loops<Scalar>().all_finite(rows.row(kept), (rows.rows - kept) * rows.cols)) {
        for (Index i = kept; i < rows.rows; ++i) {
          if (!is_finite(stored, i)) replaced_.push_back(i);
        }
      }
      copied_ = replaced_.empty() ? 0 : (std::min)(copied_, kept);
      if (replaced_.empty() || stored.narrow()) return;
      copy_.resize(static_cast<std::size_t>(rows.rows * rows.cols));
      for (Index i = copied_; i < rows.rows; ++i) std::copy_n(rows.row(i), rows.cols, copy_.data() + i * rows.cols);
      for (auto i = std::lower_bound(replaced_.begin(), replaced_.end(), copied_); i != replaced_.end(); ++i) {
        Scalar* const row = copy_.data() + *i * rows.cols;
        for (Index d = 0; d < rows.cols; ++d) row[d] = detail::is_finite(row[d]) ? row[d] : Scalar(0);
      }
      copied_ = rows.rows;
      view_ = View<Scalar>{copy_.data(), rows.rows, rows.cols, rows.cols};
    }
  }

  /// Makes room for `more` rows after the current ones: a read() of all of them that keeps the current ones then
  /// allocates nothing. If it throws, nothing has changed.
  void reserve([[maybe_unused]] const StoredRows<Scalar>& more) {
    if constexpr (vectorized<Scalar>) {
      const Index count = more.view().rows;
      if (more.narrow() && row_.empty()) row_.resize(static_cast<std::size_t>(more.view().cols));
      std::size_t found = replaced_.size();
      for (Index i = 0; i < count; ++i) found += is_finite(more, i) ? 0 : 1;
      if (found == 0) return;
      reserve_more(replaced_, found);
      if (more.narrow()) return;
      const bool copied = view_.data == copy_.data();
      reserve_more(copy_, static_cast<std::size_t>((view_.rows + count) * view_.cols));
      if (copied) view_.data = copy_.data();
    }
  }
  FiniteRows(const FiniteRows&) = delete;
  FiniteRows& operator=(const FiniteRows&) = delete;

  const View<Scalar>& view() const { return view_; }

  /// The rows in which something was replaced, ascending.
  const std::vector<Index>& replaced() const { return replaced_; }

 private:
  bool is_finite(const StoredRows<Scalar>& rows, Index i) {
    return loops<Scalar>().all_finite(rows.read(i, 1, row_).row(0), rows.view().cols);
  }

  View<Scalar> view_;
  LineVector<Scalar> copy_;
  Index copied_ = 0;  ///< rows of the copy
  std::vector<Index> replaced_;
  LineVector<Scalar> row_;  ///< one that is stored in 16 bits
};

/// `count` rows, column after column of `width` numbers, filled up with zeros.
template <class Scalar>
void pack_columns(const Scalar* rows, Index stride, Index count, Index cols, Index width, Scalar* to) {
  loops<Scalar>().transpose(rows, stride, count, cols, to, width);
  for (Index c = 0; c < cols; ++c) {
    for (Index j = count; j < width; ++j) to[c * width + j] = Scalar(0);
  }
}

/// The panel that begins with a row, filled up where rows end.
template <class Scalar>
void pack_panel(const View<Scalar>& rows, Index first, Scalar* panel) {
  const Index count = rows.rows - first < panel_keys ? rows.rows - first : panel_keys;
  pack_columns(rows.row(first), rows.stride, count, rows.cols, panel_keys, panel);
}

/// Rows in panels of panel_keys. Size: that of the rows.
template <class Scalar>
class PackedRows {
 public:
  /// In memory of an arena or, without one, of the heap.
  explicit PackedRows(Arena* memory = nullptr) : panels_(memory) {}

  /// A column more, for keys without any have panels too.
  void pack(const StoredRows<Scalar>& rows) {
    const Index count = rows.view().rows;
    cols_ = rows.view().cols;
    panels_.resize(padded(count) * std::size_t(cols_) + std::size_t(panel_keys));
    LineVector<Scalar> widened;
    for (Index first = 0; first < count; first += panel_keys) {
      pack_panel(rows.read(first, (std::min)(panel_keys, count - first), widened), 0, panels_.data() + first * cols_);
    }
  }

  /// The panel that begins with a row.
  const Scalar* panel(Index first) const { return panels_.data() + first * cols_; }

  /// How many rows there are with the padding.
  static std::size_t padded(Index rows) { return std::size_t(panel_begin(rows + panel_keys - 1)); }

 private:
  Index cols_ = 0;
  LineVector<Scalar> panels_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
