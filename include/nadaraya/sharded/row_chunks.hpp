// Rows of a batch on the threads of a call.
#pragma once

#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <memory>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// The execution of a call of all ranks; none on a rank that could not make it, which says so in the first round.
template <class Scalar>
using Executing = std::unique_ptr<const engine::Execution<Scalar>>;

/// The rows of a batch in pieces of work.
template <class Scalar>
class RowChunks {
 public:
  /// A single one, for one thread.
  explicit RowChunks(Index rows) : RowChunks(rows, rows) {}
  /// Several, for the threads of a call; a single one if it has but one.
  RowChunks(Index rows, const engine::Execution<Scalar>& execution) : RowChunks(rows, execution.executor().alone() ? rows : several) {}

  Index count() const { return count_; }

  /// work(chunk, row, scratch) for each row of a chunk in their order, chunks on any thread.
  template <class Scratch, class Work>
  void for_each(const engine::Execution<Scalar>& execution, Cost cost, engine::Pool<Scratch>& pool, const Work& work) const {
    const auto of_chunk = [&](Index c) {
      const auto scratch = pool.borrow();
      const Index end = (std::min)(rows_, (c + 1) * each_);
      for (Index r = c * each_; r < end; ++r) work(c, r, *scratch);
    };
    if (count_ == 1) return of_chunk(0);
    execution.executor().parallel_for(count_, of_chunk, cost);
  }

 private:
  static constexpr Index several = 8;

  RowChunks(Index rows, Index each) : rows_(rows), each_(each), count_(rows == 0 ? Index(0) : (rows + each - 1) / each) {}

  Index rows_;
  Index each_;  ///< rows of a chunk, but for the last
  Index count_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
