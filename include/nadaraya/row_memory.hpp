// Memory for rows of one length that are appended one after the other.
#pragma once

#include "nadaraya/detail/footprint.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Room for rows of `cols` numbers. Which of them are in use its owner knows.
template <class Stored>
class RowMemory {
 public:
  RowMemory() = default;
  explicit RowMemory(Index cols) : cols_(cols) {}
  /// Copies of rows [first, last) of another, with room for `room` of them.
  RowMemory(const RowMemory& other, Index first, Index last, Index room)
      : cols_(other.cols_), numbers_(static_cast<std::size_t>(room * other.cols_)) {
    std::copy(other.row(first), other.row(last), numbers_.begin());
  }

  Index cols() const { return cols_; }
  const Stored* row(Index i) const { return numbers_.data() + i * cols_; }
  /// The first rows, as the engine reads them.
  engine::View<Stored> view(Index rows) const { return engine::View<Stored>{row(0), rows, cols_, cols_}; }

  /// Rows without a column need no memory.
  Index room() const {
    return cols_ == 0 ? (std::numeric_limits<Index>::max)() : static_cast<Index>(numbers_.size()) / cols_;
  }

  /// Moves rows [first, last) to the beginning.
  void move_to_front(Index first, Index last) { std::copy(row(first), row(last), numbers_.data()); }

  /// Writes rows from row i on.
  void write(Index i, const Rows<Stored>& rows) {
    for (Index r = 0; r < rows.rows(); ++r) std::copy_n(rows.view().row(r), cols_, numbers_.data() + (i + r) * cols_);
  }

  bool shares_memory(const Footprint& operand) const {
    return Footprint::share(operand, Footprint(numbers_.data(), sizeof(Stored)).along(static_cast<Index>(numbers_.size()), 1));
  }

 private:
  Index cols_ = 0;
  engine::LineVector<Stored> numbers_;  ///< not initialized
};

/// Rows in another format: rounded to it, or exactly.
template <class To, class From>
Rows<To> converted(Rows<From>&& rows) {
  if constexpr (std::is_same_v<To, From>) {
    return std::move(rows);
  } else {
    return Rows<To>(RowMatrix<To>(rows.matrix().template cast<To>()));
  }
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
