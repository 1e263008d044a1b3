// An operand as contiguous rows, copied only where it must be.
#pragma once

#include "nadaraya/engine/packed.hpp"
#include "nadaraya/types.hpp"

#include <type_traits>
#include <utility>

namespace nadaraya {

/// Read-only rows, each contiguous. A row-major lvalue is referred to, not copied, and must outlive
/// this object unchanged. Anything else (column-major storage, an expression, a temporary) is
/// evaluated once into rows that this object owns.
template <class Scalar>
class Rows {
 public:
  Rows() = default;

  template <RealExpression X>
  explicit Rows(X&& x) {
    using Expression = std::remove_cvref_t<X>;
    constexpr bool direct = (int(Expression::Flags) & Eigen::DirectAccessBit) != 0;
    constexpr bool plain = std::is_base_of_v<Eigen::PlainObjectBase<Expression>, Expression>;
    if constexpr (direct && !(plain && std::is_rvalue_reference_v<X&&>)) {
      rows_ = x.rows();
      cols_ = x.cols();
      const bool one_row = rows_ <= 1;
      const Index inner = x.IsRowMajor ? x.innerStride() : x.outerStride();
      const Index outer = x.IsRowMajor ? x.outerStride() : x.innerStride();
      if (x.size() > 0 && (inner == 1 || cols_ == 1) && (one_row || outer >= cols_)) {
        data_ = x.data();
        stride_ = one_row ? cols_ : outer;
        return;
      }
    }
    owned_ = std::forward<X>(x);
    rows_ = owned_.rows();
    cols_ = owned_.cols();
    stride_ = cols_;
  }

  /// As an Eigen expression, and as the engine reads them.
  auto matrix() const {
    return Eigen::Map<const RowMatrix<Scalar>, 0, Eigen::OuterStride<>>(data(), rows_, cols_, Eigen::OuterStride<>(stride_));
  }
  engine::View<Scalar> view() const { return engine::View<Scalar>{data(), rows_, cols_, stride_}; }
  const Scalar* data() const { return data_ != nullptr ? data_ : owned_.data(); }
  Index stride() const { return stride_; }

  /// Did the operand have to be copied?
  bool copied() const { return data_ == nullptr && owned_.size() > 0; }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

 private:
  RowMatrix<Scalar> owned_;
  const Scalar* data_ = nullptr;
  Index rows_ = 0;
  Index cols_ = 0;
  Index stride_ = 0;
};

/// A place for rows: a row-major destination with contiguous rows is written to where it is, any
/// other through rows that this object owns, until commit(). The destination must outlive it.
template <class Scalar>
class WritableRows {
 public:
  using Map = Eigen::Map<RowMatrix<Scalar>, 0, Eigen::OuterStride<>>;

  template <class Out>
  explicit WritableRows(Out&& out) : rows_(out.rows()), cols_(out.cols()) {
    using Destination = std::remove_cvref_t<Out>;
    static_assert(std::is_same_v<typename Destination::Scalar, Scalar>);
    if constexpr (Destination::IsRowMajor && (int(Destination::Flags) & Eigen::DirectAccessBit) != 0) {
      if (out.innerStride() == 1) {
        data_ = out.data();
        stride_ = out.outerStride();
        return;
      }
    }
    owned_.resize(rows_, cols_);
    stride_ = cols_;
  }

  Map matrix() { return Map(data_ != nullptr ? data_ : owned_.data(), rows_, cols_, Eigen::OuterStride<>(stride_)); }

  /// Copies what was written to the destination this object was made from, if it is not there already.
  template <class Out>
  void commit(Out&& out) const {
    if (owned_.size() > 0) out = owned_;
  }

 private:
  RowMatrix<Scalar> owned_;
  Scalar* data_ = nullptr;
  Index rows_;
  Index cols_;
  Index stride_ = 0;
};

}  // namespace nadaraya
