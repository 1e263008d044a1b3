// The shape of a batch: sequences and tokens of each.
#pragma once

#include "nadaraya/head_view.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Activations are matrices with a row for each token, sequence after sequence. Their columns are the
/// heads' columns, head after head.
struct Sequences {
  Index count = 1;  ///< sequences
  Index length = 0;  ///< tokens of each

  Index tokens() const { return count * length; }  ///< Tokens of all sequences.
};

/// Tokens that are one piece of row-by-row work.
inline constexpr Index tokens_at_once = 64;

/// Activations as the heads of a batch of sequences.
template <class Scalar>
HeadView<const Scalar> as_heads(const RowMatrix<Scalar>& x, const Sequences& shape, Index heads) {
  return HeadView<const Scalar>::bnhd(x.data(), shape.count, shape.length, heads, x.cols() / heads);
}
/// Activations as the heads of a batch of sequences, to write.
template <class Scalar>
HeadView<Scalar> as_heads(RowMatrix<Scalar>& x, const Sequences& shape, Index heads) {
  return HeadView<Scalar>::bnhd(x.data(), shape.count, shape.length, heads, x.cols() / heads);
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
