// The backward pass of one head, in independent work items.
#pragma once

#include "nadaraya/engine/backward_dense.hpp"
#include "nadaraya/engine/backward_rows.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/engine.hpp"
#include "nadaraya/engine/head.hpp"
#include "nadaraya/engine/key_sums.hpp"
#include "nadaraya/engine/pair_lists.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/loops/buffer.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// How many heads add to the gradients of the same keys and values before and after one.
struct KeyReaders {
  std::size_t before = 0;
  std::size_t after = 0;
};

/// Pulls back through one head in two rounds of independent work items, whose results do not depend on the order or the
/// threads they run in:
///   1. backward_block(b): dL/dz of the recorded pairs of a block of queries, and its part of dL/dquery;
///      backward_group(g): all of that for a group of the blocks whose pairs were not recorded and are
///      formed again, or whose weights a mix corrects, with the group's own sums for dL/dkey and dL/dvalue;
///   2. gather(r): dL/dkey and dL/dvalue for a range of keys, from all blocks in order.
/// Memory: two numbers and two indices for each recorded pair; at most `group_limit` copies of dL/dkey and dL/dvalue and
/// one more for each thread; and for each thread 3 Nk numbers for each of the queries that it pulls back together, see
/// backward_dense.
template <class Scalar>
class Backward {
 public:
  /// The gradients are zero, of the shapes of the head's operands; heads may share those of keys and values, if their gathers
  /// do not run at once. Everything must outlive this object.
  Backward(const Head<Scalar>& head, const HeadGradients<Scalar>& gradients, Index group_limit, const KeyReaders& readers,
           Arena& memory)
      : head_(head),
        of_(head, gradients, memory),
        grad_key_(gradients.key),
        grad_value_(gradients.value),
        later_(readers.before > 0),
        ranges_(head.key().rows),
        pairs_(&memory),
        groups_(&memory) {
    const auto& records = gradients.records;
    pairs_.reserve(records.size());
    for (std::size_t b = 0; b < records.size(); ++b) pairs_.emplace_back(memory);
    if (std::none_of(records.begin(), records.end(), [&](const auto& record) { return in_groups(record); })) return;
    const Index groups = std::clamp<Index>(head.query.rows / group_queries, 1, (std::min)(group_limit, blocks()));
    groups_.reserve(static_cast<std::size_t>(groups));
    for (Index g = 0; g < groups; ++g) groups_.emplace_back(head.key(), head.value(), memory);
    in_place_ = groups == 1 && readers.before == 0 && readers.after == 0 && is_contiguous(grad_key_) &&
                is_contiguous(grad_value_) &&
                std::all_of(records.begin(), records.end(), [&](const auto& record) { return in_groups(record); });
    if (head.is_product() && !head.policies.lists_keys() && head.keys->scored().in_panels()) {
      dense_.emplace(head, gradients.grad_out, memory);
    }
  }

  Index blocks() const { return static_cast<Index>(of_.records.size()); }
  Index groups() const { return static_cast<Index>(groups_.size()); }
  Index ranges() const { return ranges_.count(); }

  void backward_block(Index block, BlockScratch<Scalar>& scratch) {
    const Record<Scalar>& record = of_.record(block);
    if (in_groups(record)) return;
    PairLists<Scalar>& pairs = pairs_[static_cast<std::size_t>(block)];
    pairs.open(record.keys, ranges_);
    for (Index r = 0; r < record.rows(); ++r) {
      pull_row(of_, block, r, record.row_keys(r), record.row_coordinates(r), scratch,
               [&](const Pair<Scalar>& pair) { pairs.add(pair, ranges_); });
    }
  }

  void backward_group(Index group, BlockScratch<Scalar>& scratch) {
    Group& sums = groups_[static_cast<std::size_t>(group)];
    if (!in_place_) sums.begin();
    KeySums<Scalar> to(in_place_ ? grad_key_ : sums.key(), in_place_ ? grad_value_ : sums.value(), Index(0), head_.key().rows,
                       Index(0), scratch.key_sums);
    const Index begin = group * blocks() / groups();
    const Index end = (group + 1) * blocks() / groups();
    for (Index block = begin; block < end; ++block) {
      // Panels bring sums over their queries.
      if ((block - begin) % run_blocks == 0 && block > begin && end - block >= run_blocks) to.end_runs();
      if (!in_groups(of_.record(block))) continue;
      if (!of_.record(block).recompute) {
        pull_recorded_rows(of_, block, to, scratch);
        continue;
      }
      if constexpr (vectorized<Scalar>) {
        if (dense_) {
          backward_dense(of_, *dense_, block, to, scratch);
          continue;
        }
      }
      pull_unrecorded_rows(of_, block, to, scratch, [](Index) { return true; });
    }
    to.close();
  }

  void gather(Index range, BlockScratch<Scalar>& scratch) {
    if (in_place_) return;
    const Index first = ranges_.first(range);
    const Index count = ranges_.last(range) - first;
    // What other heads have brought is not to take part in every sum of this one.
    KeySums<Scalar> to(grad_key_, grad_value_, first, count, later_ ? pair_run_terms - few_terms : Index(0),
                       scratch.key_sums);
    for (const PairLists<Scalar>& pairs : pairs_) scatter(of_, pairs.range(range), to);
    to.close();
    for (Group& group : groups_) {
      grad_key_.middleRows(first, count) += group.key().middleRows(first, count);
      grad_value_.middleRows(first, count) += group.value().middleRows(first, count);
    }
  }

  /// The gradients of the parameters, once the first round is over.
  ParameterSums<Scalar> parameters() const {
    ParameterSums<Scalar> total = no_parameters(head_.policies);
    for (const auto& part : of_.parameters) total.add(part);
    return total;
  }

 private:
  /// Is a block pulled back by a group? Its pairs were not recorded, or a mix brings a row of numbers for each of them.
  bool in_groups(const Record<Scalar>& record) const { return record.recompute || head_.policies.mix != nullptr; }

  /// Rows that lie far apart would be written over and over, a cache line from many pages at a time.
  static bool is_contiguous(const MatrixMap<Scalar>& rows) { return rows.outerStride() == rows.cols(); }

  static constexpr Index group_queries = 1024;
  /// Blocks per run of a group's sums, and pairs of a head per run where other heads' sums are present.
  static constexpr Index run_blocks = 10;
  static constexpr Index few_terms = 16;

  /// The sums of a group, zero from begin() on.
  class Group {
   public:
    Group(const View<Scalar>& keys, const View<Scalar>& values, Arena& memory)
        : rows_(keys.rows), key_cols_(keys.cols), value_cols_(values.cols), key_(&memory), value_(&memory) {}

    void begin() {
      key_.assign(static_cast<std::size_t>(rows_ * key_cols_), Scalar(0));
      value_.assign(static_cast<std::size_t>(rows_ * value_cols_), Scalar(0));
    }
    MatrixMap<Scalar> key() { return {key_.data(), rows_, key_cols_, Eigen::OuterStride<>(key_cols_)}; }
    MatrixMap<Scalar> value() { return {value_.data(), rows_, value_cols_, Eigen::OuterStride<>(value_cols_)}; }

   private:
    Index rows_, key_cols_, value_cols_;
    LineVector<Scalar> key_;
    LineVector<Scalar> value_;
  };

  const Head<Scalar>& head_;
  BackwardHead<Scalar> of_;
  MatrixMap<Scalar> grad_key_;
  MatrixMap<Scalar> grad_value_;
  bool later_;
  bool in_place_ = false;  ///< does the one group add to the gradients themselves, with nothing to be gathered?
  KeyRanges ranges_;
  LineVector<PairLists<Scalar>> pairs_;
  LineVector<Group> groups_;
  std::optional<DenseOperands<Scalar>> dense_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
