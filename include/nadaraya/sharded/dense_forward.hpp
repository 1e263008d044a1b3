// The forward pass of rows whose weights are known but for their sum: maxima and exact sums, whatever the number of keys.
#pragma once

#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/loops/buffer.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/buffers.hpp"
#include "nadaraya/sharded/cached_layout.hpp"
#include "nadaraya/sharded/candidate_lister.hpp"
#include "nadaraya/sharded/canonical_rows.hpp"
#include "nadaraya/sharded/dense_rows.hpp"
#include "nadaraya/sharded/exact_sum.hpp"
#include "nadaraya/sharded/row_chunks.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/sharded/tape.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Rounds of a batch of queries:
///   1. the largest similarity of each row, by all_reduce_max;
///   2. the number of weights, their sum and the weighted sums of values, by all_reduce_sum: of SplitAddition, so that they
///      are the same bits for any sharding. 16 (Dv + 2) bytes a query.
template <class Scalar, Communicator C>
class DenseForward {
 public:
  /// `opening` rides on the first round; null if the call is open.
  DenseForward(Session<C>& session, const Shard<Scalar>& shard, CachedOpening* opening, Buffers<Scalar>& buffers,
               const Executing<Scalar>& execution)
      : session_(session),
        shard_(shard),
        opening_(opening),
        buffers_(buffers),
        execution_(execution),
        lister_(shard, execution) {}

  /// As SparseForward::run.
  void run(RowMatrix<Scalar>& out, Record<Scalar>* record) {
    for (Index first = 0; first < shard_.layout.all.queries; first += dense_batch_rows) {
      const Index count = (std::min)(dense_batch_rows, shard_.layout.all.queries - first);
      buffers_.begin_numbers(count, -infinity());
      session_.attempt([&] {
        buffers_.reserve_sums(count * sums_of_row());
        own_.dense.lone.reserve(1);
        Scalar* const largest_of = buffers_.numbers.data();
        lister_.list(first, count, [&](Index r, const CandidateRow<Scalar>& row, CanonicalRows<Scalar>&) {
          if (row.empty()) return;
          largest_of[r] =
              undecided(row) ? infinity() : engine::loops<Scalar>().largest(row.values().data(), static_cast<Index>(row.size()));
        });
      });
      largest_of_all(session_, opening_, std::span(buffers_.numbers));
      buffers_.begin_sums(count * sums_of_row());
      session_.attempt([&] {
        const RowChunks<Scalar> chunks(count, *execution_);
        chunks.for_each(*execution_, dense_cost(shard_, count, cols()), scratch_,
                        [&](Index, Index r, Scratch& scratch) { add_row(r, scratch); });
      });
      session_.all_reduce_sum(buffers_.sums);
      session_.attempt([&] {
        for (Index r = 0; r < count; ++r) finish_row(first, r, out, record);
      });
    }
    // Without a record no memory is taken after the sums.
    if (record != nullptr) session_.agree();
  }

 private:
  /// Memory of a thread.
  struct Scratch {
    DenseScratch<Scalar> dense;
    SplitTotal<Scalar> weights;
    engine::LineVector<Scalar> widened;
  };

  static Scalar infinity() { return Scalar(Eigen::NumTraits<Scalar>::infinity()); }
  Index cols() const { return shard_.value_cols(); }
  /// Weighted values, weights, and their number.
  Index sums_of_row() const { return cols() + 2; }
  const Scalar& largest(Index r) const { return buffers_.numbers[static_cast<std::size_t>(r)]; }
  bool has_weights(Index r) const { return largest(r) > -infinity() && largest(r) < infinity(); }

  void add_row(Index r, Scratch& scratch) {
    if (!has_weights(r)) return;
    CandidateRow<Scalar>& row = lister_.row(r);
    DenseRows<Scalar> dense(shard_, scratch.dense);
    const RowNormalizer<Scalar> map = dense.map_of(largest(r));
    const RowView<Scalar> p = dense.weigh(RowNormalizer<Scalar>{map.pivot, map.width, map.offset, Scalar(1)}, row);
    const auto terms = static_cast<double>(shard_.layout.all.keys);
    const SplitAddition of_weights(1.0, terms), of_values(shard_.layout.largest_value, terms);
    double* const high = buffers_.high(r, sums_of_row());
    double* const low = buffers_.low(r, sums_of_row());
    add_weighted_rows(of_values, row.keys(), p.data(), shard_.value, scratch.widened, high, low);
    scratch.weights.add(of_weights, p, high[cols()], low[cols()]);
    high[cols() + 1] +=
        static_cast<double>(engine::loops<Scalar>().count_above(p.data(), static_cast<Index>(p.size()), Scalar(0)));
  }

  void finish_row(Index first, Index r, RowMatrix<Scalar>& out, Record<Scalar>* record) {
    const Scalar nan(std::numeric_limits<Scalar>::quiet_NaN());
    RowNormalizer<Scalar> map;
    Index support = 0;
    const auto sum = [&](Index i) { return buffers_.total(r, sums_of_row(), i); };
    if (has_weights(r)) {
      map = DenseRows<Scalar>(shard_, own_.dense).map_of(largest(r));
      if (shard_.numbers.divides_by_sum) map.mass = static_cast<Scalar>(sum(cols()));
      support = static_cast<Index>(sum(cols() + 1));
    } else if (largest(r) == infinity()) {
      map = RowNormalizer<Scalar>{nan, nan, nan, nan};
      support = -1;
    }
    if (record != nullptr) record->add(map, support);
    if (!shard_.is_own(first + r)) return;
    auto row = out.row(shard_.own_row(first + r));
    if (support <= 0) {
      row.setConstant(support < 0 ? nan : Scalar(0));
      return;
    }
    const double mass = shard_.numbers.divides_by_sum ? sum(cols()) : static_cast<double>(map.mass);
    for (Index d = 0; d < cols(); ++d) row(d) = static_cast<Scalar>(sum(d) / mass);
  }

  Session<C>& session_;
  const Shard<Scalar>& shard_;
  CachedOpening* opening_;
  Buffers<Scalar>& buffers_;
  const Executing<Scalar>& execution_;
  CandidateLister<Scalar> lister_;
  engine::Pool<Scratch> scratch_;
  Scratch own_;  ///< of the calling thread
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
