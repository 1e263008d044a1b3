// Rows as they are stored: as scalars, or in 16 bits, which are read as scalars some rows at a time.
#pragma once

#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// What rows are stored in.
enum class Storage : unsigned char { scalar, bfloat16, half };

template <class Stored>
inline constexpr Storage storage_of = std::is_same_v<Stored, Eigen::bfloat16> ? Storage::bfloat16
                                      : std::is_same_v<Stored, Eigen::half>   ? Storage::half
                                                                              : Storage::scalar;

/// Rows `stride` apart, each contiguous. Those in 16 bits are floats when they are read.
template <class Scalar>
class StoredRows {
 public:
  StoredRows() = default;
  StoredRows(const View<Scalar>& rows) : data_(rows.data), shape_(rows) {}
  template <class Stored>
    requires(storage_of<Stored> != Storage::scalar && std::is_same_v<Scalar, float>)
  StoredRows(const View<Stored>& rows)
      : data_(rows.data), shape_{nullptr, rows.rows, rows.cols, rows.stride}, storage_(storage_of<Stored>) {}

  /// Are they stored in 16 bits?
  bool narrow() const { return storage_ != Storage::scalar; }
  /// The rows if they are stored as scalars; otherwise their number and length alone.
  const View<Scalar>& view() const { return shape_; }

  /// Row i of those in 16 bits, as they are stored.
  const std::uint16_t* narrow_row(Index i) const { return static_cast<const std::uint16_t*>(data_) + i * shape_.stride; }

  /// The rows from one on.
  StoredRows from(Index first) const {
    StoredRows rest = *this;
    rest.shape_.rows -= first;
    if (narrow()) {
      rest.data_ = narrow_row(first);
    } else {
      rest.data_ = rest.shape_.data = shape_.row(first);
    }
    return rest;
  }

  /// Rows [first, first + count) as scalars: where they are, or in `buffer`, until the next call with it.
  View<Scalar> read(Index first, Index count, LineVector<Scalar>& buffer) const {
    if (!narrow()) return View<Scalar>{shape_.row(first), count, shape_.cols, shape_.stride};
    Scalar* const to = room(count, buffer);
    copy(first, count, to);
    return View<Scalar>{to, count, shape_.cols, shape_.cols};
  }

  /// Copies rows [first, first + count), which are stored in 16 bits, to scalars one row after the other.
  void copy(Index first, Index count, Scalar* to) const {
    const bool together = shape_.stride == shape_.cols;
    const Index pieces = together ? 1 : count;
    const Index length = together ? count * shape_.cols : shape_.cols;
    for (Index i = 0; i < pieces; ++i) widen((first + i) * shape_.stride, length, to + i * shape_.cols);
  }

  /// Some rows that are stored in 16 bits, together in `buffer`.
  View<Scalar> gather(const KeyIndex* rows, Index count, LineVector<Scalar>& buffer) const {
    Index run = 0;  // of consecutive rows
    while (run < count && rows[run] == rows[0] + static_cast<KeyIndex>(run)) ++run;
    if (count > 0 && run == count) return read(rows[0], count, buffer);
    Scalar* const to = room(count, buffer);
    for (Index i = 0; i < count; ++i) widen(rows[i] * shape_.stride, shape_.cols, to + i * shape_.cols);
    return View<Scalar>{to, count, shape_.cols, shape_.cols};
  }

 private:
  Scalar* room(Index count, LineVector<Scalar>& buffer) const {
    const auto size = static_cast<std::size_t>(count * shape_.cols);
    if (buffer.size() < size) buffer.resize(size);
    return buffer.data();
  }

  /// Numbers [first, first + count) as scalars.
  void widen([[maybe_unused]] Index first, [[maybe_unused]] Index count, [[maybe_unused]] Scalar* to) const {
    if constexpr (std::is_same_v<Scalar, float>) {
      const auto* from = static_cast<const std::uint16_t*>(data_) + first;
      const LoopTable<float>& loops = engine::loops<float>();
      (storage_ == Storage::half ? loops.widen_half : loops.widen_bfloat16)(from, count, to);
    }
  }

  const void* data_ = nullptr;
  View<Scalar> shape_;
  Storage storage_ = Storage::scalar;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
