// Numbers as models hold them: a batch of heads of tokens.
#pragma once

#include "nadaraya/types.hpp"

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A non-owning view of a [batch, heads, tokens, dim] array. Strides are in elements and arbitrary; a dim stride of 1 avoids
/// a copy. T is const for inputs.
template <class T>
class HeadView {
 public:
  /// Elements from one entry to the next along each axis.
  struct Strides {
    Index batch;  ///< to the next batch entry
    Index head;  ///< to the next head
    Index token;  ///< to the next token
    Index dim = 1;  ///< to the next component; with 1 nothing is copied
  };

  /// A view of any strides. The memory must outlive it.
  HeadView(T* data, Index batch, Index heads, Index tokens, Index dim, const Strides& strides)
      : data_(data), batch_(batch), heads_(heads), tokens_(tokens), dim_(dim), strides_(strides) {}

  /// A read-only view of the same memory.
  template <class U>
    requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)
  HeadView(const HeadView<U>& other)
      : HeadView(other.data(), other.batch(), other.heads(), other.tokens(), other.dim(),
                 {other.strides().batch, other.strides().head, other.strides().token, other.strides().dim}) {}

  /// Contiguous [batch, heads, tokens, dim].
  static HeadView bhnd(T* data, Index batch, Index heads, Index tokens, Index dim) {
    return HeadView(data, batch, heads, tokens, dim, {heads * tokens * dim, tokens * dim, dim});
  }

  /// Contiguous [batch, tokens, heads, dim], what a projection of [batch, tokens, heads dim] gives.
  static HeadView bnhd(T* data, Index batch, Index tokens, Index heads, Index dim) {
    return HeadView(data, batch, heads, tokens, dim, {tokens * heads * dim, dim, heads * dim});
  }

  T* data() const { return data_; }  ///< The element (0, 0, 0, 0).
  Index batch() const { return batch_; }  ///< B, how many batch entries there are.
  Index heads() const { return heads_; }  ///< H, how many heads.
  Index tokens() const { return tokens_; }  ///< N, how many tokens.
  Index dim() const { return dim_; }  ///< D, how many components.
  const Strides& strides() const { return strides_; }  ///< The strides, in elements.

  /// Some of the tokens of one head, as a matrix with a row for each.
  auto rows(Index batch, Index head, Index first_token, Index tokens) const {
    using Matrix = RowMatrix<std::remove_const_t<T>>;
    using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    using Map = Eigen::Map<std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>, 0, Stride>;
    // Of nothing there may be no memory to point into.
    const Index offset = batch * strides_.batch + head * strides_.head + first_token * strides_.token;
    return Map(tokens == 0 || dim_ == 0 ? data_ : data_ + offset, tokens, dim_, Stride(strides_.token, strides_.dim));
  }

  /// One head.
  auto rows(Index batch, Index head) const { return rows(batch, head, 0, tokens_); }

 private:
  T* data_;
  Index batch_;
  Index heads_;
  Index tokens_;
  Index dim_;
  Strides strides_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
