// Numbers as models hold them: a batch of heads of tokens.
#pragma once

#include "nadaraya/types.hpp"

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// batch x heads x tokens x dim numbers anywhere in memory, looked at and not owned. Strides count
/// numbers; any will do, and dim = 1 is what nothing has to be copied for. T is const for inputs.
template <class T>
class HeadView {
 public:
  struct Strides {
    Index batch;
    Index head;
    Index token;
    Index dim = 1;
  };

  HeadView(T* data, Index batch, Index heads, Index tokens, Index dim, const Strides& strides)
      : data_(data), batch_(batch), heads_(heads), tokens_(tokens), dim_(dim), strides_(strides) {}

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

  T* data() const { return data_; }
  Index batch() const { return batch_; }
  Index heads() const { return heads_; }
  Index tokens() const { return tokens_; }
  Index dim() const { return dim_; }
  const Strides& strides() const { return strides_; }

  /// Some of the tokens of one head, as a matrix with a row for each.
  auto rows(Index batch, Index head, Index first_token, Index tokens) const {
    using Matrix = RowMatrix<std::remove_const_t<T>>;
    using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    using Map = Eigen::Map<std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>, 0, Stride>;
    return Map(data_ + batch * strides_.batch + head * strides_.head + first_token * strides_.token, tokens, dim_,
               Stride(strides_.token, strides_.dim));
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
