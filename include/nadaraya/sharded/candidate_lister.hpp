// The candidates of queries among the keys of one rank.
#pragma once

#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/engine/problem.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/canonical_rows.hpp"
#include "nadaraya/sharded/position_mask.hpp"
#include "nadaraya/sharded/row_chunks.hpp"
#include "nadaraya/sharded/shard.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// Lists candidates on the threads of a call. They are those that CanonicalRows leaves, for any number of threads at least those
/// that it solves rows from.
template <class Scalar>
class CandidateLister {
 public:
  /// Both must outlive it.
  CandidateLister(const Shard<Scalar>& shard, const Executing<Scalar>& execution) : shard_(shard), execution_(execution) {}

  /// Lists the candidates of the queries [first, first + count), ascending, counted in the rank, and calls inspect(r, row, rows) for
  /// each of them, on any thread, with rows of that thread.
  template <class Inspect>
  void list(Index first, Index count, const Inspect& inspect) {
    if (rows_.size() < static_cast<std::size_t>(count)) rows_.resize(static_cast<std::size_t>(count));
    const PositionMask<Scalar> mask(*shard_.policies.mask, shard_.positions(), first, shard_.layout.all);
    engine::HeadPolicies<Scalar> policies = shard_.policies;
    policies.mask = &mask;
    const Rows<Scalar> query(shard_.query->matrix().middleRows(first, count));
    const engine::Problem<Scalar> problem{
        .policies = policies, .query = &query, .key = shard_.key, .value = shard_.key, .cached = shard_.cached};
    engine::list_candidates<Scalar>(
        problem, shard_.layout.all, *execution_,
        [&](std::span<CandidateRow<Scalar>* const> some) {
          const auto scratch = scratch_.borrow();
          canonical(*scratch).refine(some);
        },
        [&](Index begin, std::span<const CandidateRow<Scalar>> block) {
          const auto scratch = scratch_.borrow();
          CanonicalRows<Scalar> rows = canonical(*scratch);
          for (std::size_t i = 0; i < block.size(); ++i) {
            const Index r = begin + static_cast<Index>(i);
            inspect(r, copy(block[i], row(r)), rows);
          }
        });
  }

  /// Those of the r-th query.
  CandidateRow<Scalar>& row(Index r) { return rows_[static_cast<std::size_t>(r)]; }
  /// Those of queries [begin, begin + count).
  std::span<const CandidateRow<Scalar>> rows(Index begin, Index count) const {
    return std::span(rows_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
  }

 private:
  CanonicalRows<Scalar> canonical(CanonicalScratch<Scalar>& scratch) const {
    return CanonicalRows<Scalar>(*shard_.policies.rule, Scalar(shard_.numbers.edge), scratch);
  }

  static const CandidateRow<Scalar>& copy(const CandidateRow<Scalar>& row, CandidateRow<Scalar>& to) {
    to.clear();
    to.reserve(row.size());
    std::copy(row.keys().begin(), row.keys().end(), to.key_data());
    std::copy(row.values().begin(), row.values().end(), to.value_data());
    to.resize(row.size());
    to.set_floor(row.floor());
    return to;
  }

  const Shard<Scalar>& shard_;
  const Executing<Scalar>& execution_;
  std::vector<CandidateRow<Scalar>> rows_;
  engine::Pool<CanonicalScratch<Scalar>> scratch_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
