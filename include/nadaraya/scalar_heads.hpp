// Heads in the scalar that is computed with: those that are stored in 16 bits are copied.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/head_view.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/stored_rows.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// True for elements that are stored in 16 bits, const or not.
template <class T>
inline constexpr bool stores_16_bits = engine::storage_of<std::remove_const_t<T>> != engine::Storage::scalar;

/// True if a call on inputs of elements T computes in Scalar, which is float, and some of them are stored in 16 bits.
template <class Scalar, class... T>
inline constexpr bool reads_16_bits = std::is_same_v<Scalar, float> && (stores_16_bits<T> || ...);

/// An input as it is.
template <class T>
class ScalarHeads {
 public:
  template <class E>
  ScalarHeads(const HeadView<const T>& view, const E&) : view_(view) {}

  HeadView<const T> view() const { return view_; }

 private:
  HeadView<const T> view_;
};

/// A contiguous float copy of heads that are stored in 16 bits. Neither copied nor moved.
template <class T>
requires(stores_16_bits<T>) class ScalarHeads<T> {
 public:
  ScalarHeads(const HeadView<const T>& from, const AnyExecutor& executor)
      : numbers_(static_cast<std::size_t>(from.batch() * from.heads() * from.tokens() * from.dim())),
        view_(HeadView<const float>::bhnd(numbers_.data(), from.batch(), from.heads(), from.tokens(), from.dim())) {
    executor.parallel_for(
        from.batch() * from.heads(),
        [&](Index i) {
          const Rows<T> rows(from.rows(i / from.heads(), i % from.heads()));
          engine::StoredRows<float>(rows.view()).copy(0, from.tokens(), numbers_.data() + i * from.tokens() * from.dim());
        },
        Cost{static_cast<double>(numbers_.size())});
  }
  ScalarHeads(const ScalarHeads&) = delete;
  ScalarHeads& operator=(const ScalarHeads&) = delete;

  HeadView<const float> view() const { return view_; }

 private:
  engine::LineVector<float> numbers_;
  HeadView<const float> view_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
