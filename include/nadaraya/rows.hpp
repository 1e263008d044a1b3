// An operand as contiguous rows, copied only where it must be.
#pragma once

#include "nadaraya/loops/arena.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/view.hpp"

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// A matrix that owns its numbers, or a class derived from one.
template <class X>
concept OwningMatrix = requires(const X& x) { []<class D>(const Eigen::PlainObjectBase<D>&) {}(x); };

/// An expression whose numbers lie in memory.
template <class X>
concept InMemory = (int(X::Flags) & Eigen::DirectAccessBit) != 0;

/// Views of memory that they neither own nor take from another expression.
template <class X>
inline constexpr bool is_foreign = false;
template <class P, int O, class S>
inline constexpr bool is_foreign<Eigen::Map<P, O, S>> = true;
template <class P, int O, class S>
inline constexpr bool is_foreign<Eigen::Ref<P, O, S>> = true;

/// A Ref<const ...>, which holds a copy where it cannot refer to its argument.
template <class X>
inline constexpr bool is_const_ref = false;
template <class P, int O, class S>
inline constexpr bool is_const_ref<Eigen::Ref<const P, O, S>> = true;
template <class P, int O, class S>
inline constexpr bool is_foreign<Eigen::Ref<const P, O, S>> = false;

/// Tells if a Ref<const ...> holds a copy. Eigen has no public function for that.
template <class R>
struct RefCopy : R {
  static bool holds(const R& ref) {
    if constexpr (requires { &RefCopy::m_object; }) {
      return (ref.*(&RefCopy::m_object)).data() == ref.data();
    } else {
      return true;
    }
  }
};

/// True if the memory of an expression may not outlive the call that it is passed to. `temporary` is true if the
/// expression does not; then neither does a matrix that it owns, nor, as far as a type can tell, one that it is a view of.
template <InMemory X>
bool may_end(const X& x, bool temporary) {
  if constexpr (is_foreign<X>) {
    return false;
  } else if constexpr (is_const_ref<X>) {
    return temporary || RefCopy<X>::holds(x);
  } else if constexpr (!OwningMatrix<X> && requires { requires InMemory<std::remove_cvref_t<decltype(x.nestedExpression())>>; }) {
    return may_end(x.nestedExpression(), temporary);
  } else {
    return temporary;
  }
}

/// True if the memory of a temporary ends with it: it owns a matrix, or a Ref that it is a view of holds a copy.
template <InMemory X>
bool owns(const X& x, bool nested = false) {
  if constexpr (is_foreign<X>) {
    return false;
  } else if constexpr (is_const_ref<X>) {
    return RefCopy<X>::holds(x);
  } else if constexpr (!OwningMatrix<X> && requires { requires InMemory<std::remove_cvref_t<decltype(x.nestedExpression())>>; }) {
    return owns(x.nestedExpression(), true);
  } else {
    return !nested;
  }
}

/// Memory for n numbers of a call; null for scalars that have to be made and destroyed one by one.
template <class Scalar>
Scalar* take_numbers([[maybe_unused]] engine::Arena& memory, [[maybe_unused]] Index n) {
  if constexpr (std::is_trivially_copyable_v<Scalar> && std::is_trivially_destructible_v<Scalar>) {
    return static_cast<Scalar*>(memory.take(static_cast<std::size_t>(n) * sizeof(Scalar)));
  } else {
    return nullptr;
  }
}

}  // namespace detail

/// Read-only rows, each contiguous, for the length of a call or, kept(), for longer. Rows that lie in memory
/// are referred to, not copied, and must outlive this object unchanged. Others (column-major storage, an
/// expression) are evaluated once into rows that this object owns, as are those of a temporary that owns them.
/// Moved from, it has no rows.
template <class Scalar>
class Rows {
 public:
  Rows() = default;
  Rows(const Rows&) = default;  ///< Rows that it owns are copied; others are referred to.
  Rows& operator=(const Rows&) = default;  ///< As the copy constructor.
  Rows(Rows&& other) noexcept { *this = std::move(other); }  ///< Leaves no rows behind.
  /// As the move constructor.
  Rows& operator=(Rows&& other) noexcept {
    if (this == &other) return *this;
    owned_ = std::move(other.owned_);
    other.owned_.resize(0, 0);
    data_ = std::exchange(other.data_, nullptr);
    rows_ = std::exchange(other.rows_, 0);
    cols_ = std::exchange(other.cols_, 0);
    stride_ = std::exchange(other.stride_, 0);
    return *this;
  }

  /// Refers to x where its rows are contiguous and outlive the call; copies it otherwise.
  template <RealExpression X>
  explicit Rows(X&& x) {
    using Expression = std::remove_cvref_t<X>;
    if constexpr (detail::InMemory<Expression>) {
      if (!(std::is_rvalue_reference_v<X&&> && detail::owns(std::as_const(x))) && refer(x)) return;
    }
    own(std::forward<X>(x));
  }

  /// For the length of a call, in whose memory copies are made.
  template <RealExpression X>
  Rows(const X& x, engine::Arena& memory) {
    if constexpr (detail::InMemory<X>) {
      if (refer(x)) return;
    }
    Scalar* const copy = detail::take_numbers<Scalar>(memory, x.size());
    if (copy == nullptr) {
      own(x);
      return;
    }
    Eigen::Map<RowMatrix<Scalar>>(copy, x.rows(), x.cols()) = x;
    data_ = copy;
    rows_ = x.rows();
    cols_ = x.cols();
    stride_ = cols_;
  }

  /// Becomes rows that may be used after the call in which they are made, as those of a tape are. A row-major lvalue and the
  /// memory of a Map are referred to; a block or a Ref that is a temporary is copied, for its matrix may be one too. Copies
  /// of the same size as the last take its memory.
  template <RealExpression X>
  void keep(X&& x) {
    if constexpr (detail::InMemory<std::remove_cvref_t<X>>) {
      if (!detail::may_end(std::as_const(x), std::is_rvalue_reference_v<X&&>) && refer(x)) return;
    }
    data_ = nullptr;
    own(std::forward<X>(x));
  }

  /// As an Eigen expression, and as the engine reads them.
  auto matrix() const {
    return Eigen::Map<const RowMatrix<Scalar>, 0, Eigen::OuterStride<>>(data(), rows_, cols_, Eigen::OuterStride<>(stride_));
  }
  /// As the engine reads them.
  engine::View<Scalar> view() const { return engine::View<Scalar>{data(), rows_, cols_, stride_}; }
  const Scalar* data() const { return data_ != nullptr ? data_ : owned_.data(); }  ///< The first element.
  Index stride() const { return stride_; }  ///< Elements from one row to the next.

  /// True if the operand had to be copied.
  bool copied() const { return data_ == nullptr && owned_.size() > 0; }
  Index rows() const { return rows_; }  ///< How many rows.
  Index cols() const { return cols_; }  ///< How many columns.

 private:
  /// Refers to rows if they are contiguous.
  template <class X>
  bool refer(const X& x) {
    const bool one_row = x.rows() <= 1;
    const Index inner = x.IsRowMajor ? x.innerStride() : x.outerStride();
    const Index outer = x.IsRowMajor ? x.outerStride() : x.innerStride();
    if (x.size() == 0 || !(inner == 1 || x.cols() == 1) || !(one_row || outer >= x.cols())) return false;
    data_ = x.data();
    rows_ = x.rows();
    cols_ = x.cols();
    stride_ = one_row ? cols_ : outer;
    return true;
  }

  template <class X>
  void own(X&& x) {
    owned_ = std::forward<X>(x);
    rows_ = owned_.rows();
    cols_ = owned_.cols();
    stride_ = cols_;
  }

  RowMatrix<Scalar> owned_;
  const Scalar* data_ = nullptr;
  Index rows_ = 0;
  Index cols_ = 0;
  Index stride_ = 0;
};

/// Rows to write to, `stride` apart.
template <class Scalar>
using MatrixMap = Eigen::Map<RowMatrix<Scalar>, 0, Eigen::OuterStride<>>;

/// Faster than setZero, which goes number by number where rows are a stride apart.
template <class Scalar>
void set_zero(MatrixMap<Scalar> rows) {
  if (rows.outerStride() == rows.cols()) {
    std::fill_n(rows.data(), rows.size(), Scalar(0));
    return;
  }
  for (Index i = 0; i < rows.rows(); ++i) std::fill_n(rows.data() + i * rows.outerStride(), rows.cols(), Scalar(0));
}

/// A place for rows: a row-major destination with contiguous rows is written to where it is, any
/// other through rows that this object owns, or that are in the memory of a call, until commit(). The destination must
/// outlive it.
template <class Scalar>
class WritableRows {
 public:
  using Map = MatrixMap<Scalar>;  ///< What `matrix` returns.

  /// For a destination of any storage order.
  template <class Out>
  explicit WritableRows(Out&& out) : rows_(out.rows()), cols_(out.cols()) {
    if (refer(out)) return;
    own();
  }
  /// As above, with rows of its own from `memory`.
  template <class Out>
  WritableRows(Out&& out, engine::Arena& memory) : rows_(out.rows()), cols_(out.cols()) {
    if (refer(out)) return;
    data_ = detail::take_numbers<Scalar>(memory, out.size());
    stride_ = cols_;
    copied_ = true;
    if (data_ == nullptr) own();
  }

  /// The rows to write.
  Map matrix() { return Map(data_ != nullptr ? data_ : owned_.data(), rows_, cols_, Eigen::OuterStride<>(stride_)); }

  /// Copies what was written to the destination this object was made from, if it is not there already.
  template <class Out>
  void commit(Out&& out) {
    if (copied_) out = matrix();
  }

 private:
  template <class Out>
  bool refer(Out& out) {
    static_assert(std::is_same_v<typename Out::Scalar, Scalar>);
    if constexpr (Out::IsRowMajor && (int(Out::Flags) & Eigen::DirectAccessBit) != 0) {
      if (out.innerStride() == 1) {
        data_ = out.data();
        stride_ = out.outerStride();
        return true;
      }
    }
    return false;
  }
  void own() {
    owned_.resize(rows_, cols_);
    stride_ = cols_;
    copied_ = owned_.size() > 0;
  }

  RowMatrix<Scalar> owned_;
  Scalar* data_ = nullptr;
  Index rows_;
  Index cols_;
  Index stride_ = 0;
  bool copied_ = false;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
