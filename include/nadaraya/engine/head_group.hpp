// Heads with few queries that read the same keys, as one head with the queries of all: keys and values are read once.
#pragma once

#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/row_mask.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Queries of a group: more leave too few groups for the threads.
inline constexpr Index most_grouped = 8;

/// May two heads be of one group? Each keeps its own rule and its own mask, of the same traits.
template <class Scalar>
bool may_share_keys(const Head<Scalar>& a, const Head<Scalar>& b) {
  const auto same_rules = [](const RuleTraits& x, const RuleTraits& y) {
    return x.sparse == y.sparse && x.selects == y.selects && x.takes_vectors == y.takes_vectors && x.online == y.online;
  };
  const auto same_masks = [](const MaskTraits& x, const MaskTraits& y) { return x.holed == y.holed && x.biased == y.biased; };
  return a.keys == b.keys && !a.keys->scored().in_panels() && a.is_product() && b.is_product() && a.factor == b.factor &&
         a.query.rows == b.query.rows && same_rules(a.rule().traits(), b.rule().traits()) &&
         same_masks(a.mask().traits(), b.mask().traits()) && a.policies.screening == b.policies.screening &&
         a.policies.lists_keys() == b.policies.lists_keys();
}

/// How many of some heads, from the first on, make a group.
template <class Scalar>
std::size_t group_size(std::span<const Head<Scalar>> heads) {
  std::size_t size = 1;
  while (size < heads.size() && static_cast<Index>(size + 1) * heads.front().query.rows <= most_grouped &&
         may_share_keys(heads.front(), heads[size])) {
    ++size;
  }
  return size;
}

/// The masks of a group, each for the queries of its head.
template <class Scalar>
class GroupMask final : public RowMask<Scalar> {
 public:
  explicit GroupMask(std::span<const Head<Scalar>> heads)
      : RowMask<Scalar>(heads.front().mask().traits()), heads_(heads), each_(heads.front().query.rows) {}

  KeyRange range(Index query, const Extent& n) const override { return of(query).range(query % each_, each(n)); }
  std::uint64_t visible(Index query, Index first, Index count, const Extent& n) const override {
    return of(query).visible(query % each_, first, count, each(n));
  }
  void add_bias(Index query, const KeyList& keys, const Extent& n, Scalar* z) const override {
    of(query).add_bias(query % each_, keys, each(n), z);
  }

  /// Groups have no gradients: their heads do.
  std::unique_ptr<OwnGradient> no_gradient() const override { return nullptr; }
  void pull_parameters(Index, const KeyList&, const Extent&, const Scalar*, OwnGradient&) const override {}

 private:
  const RowMask<Scalar>& of(Index query) const { return heads_[static_cast<std::size_t>(query / each_)].mask(); }
  Extent each(const Extent& n) const { return Extent{each_, n.keys}; }

  std::span<const Head<Scalar>> heads_;
  Index each_;
};

/// A group as the passes take it. Its queries are copied into the scratch memory, where its rows of the result are too, until
/// they are copied to those of the heads.
template <class Scalar>
class HeadGroup {
 public:
  HeadGroup(std::span<const Head<Scalar>> heads, BlockScratch<Scalar>& scratch)
      : mask_(heads), head_(heads.front()), scratch_(scratch) {
    const View<Scalar>& first = heads.front().query;
    const auto rows = static_cast<Index>(heads.size()) * first.rows;
    scratch.group_queries.resize(static_cast<std::size_t>(rows * first.cols));
    Scalar* to = scratch.group_queries.data();
    for (const Head<Scalar>& head : heads) {
      for (Index i = 0; i < first.rows; ++i) to = std::copy_n(head.query.row(i), first.cols, to);
    }
    head_.query = View<Scalar>{scratch.group_queries.data(), rows, first.cols, first.cols};
    head_.policies.mask = &mask_;
    head_.members = heads;
  }
  HeadGroup(const HeadGroup&) = delete;
  HeadGroup& operator=(const HeadGroup&) = delete;

  const Head<Scalar>& head() const { return head_; }

  /// Where its rows of the result go.
  MatrixMap<Scalar> rows() {
    const Index cols = head_.value().cols;
    scratch_.group_rows.resize(static_cast<std::size_t>(head_.query.rows * cols));
    return MatrixMap<Scalar>(scratch_.group_rows.data(), head_.query.rows, cols, Eigen::OuterStride<>(cols));
  }

  void copy_rows(std::span<const MatrixMap<Scalar>> outs) const {
    const Scalar* from = scratch_.group_rows.data();
    const Index cols = head_.value().cols;
    for (MatrixMap<Scalar> out : outs) {
      for (Index i = 0; i < out.rows(); ++i, from += cols) std::copy_n(from, cols, out.data() + i * out.outerStride());
    }
  }

 private:
  GroupMask<Scalar> mask_;
  Head<Scalar> head_;
  BlockScratch<Scalar>& scratch_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
