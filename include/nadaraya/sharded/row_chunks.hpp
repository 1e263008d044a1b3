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

/// The rows of a batch in pieces of work: a single one for one thread, which needs no more memory than a row does.
template <class Scalar>
struct RowChunks {
  Index rows = 0;
  Index each = 0;  ///< rows of a chunk, but for the last
  Index count = 0;

  RowChunks(Index all, const engine::Execution<Scalar>& execution)
      : rows(all), each(execution.executor().serial() ? all : several), count(all == 0 ? 0 : (all + each - 1) / each) {}

  /// work(chunk, row, scratch) for each row of a chunk in their order, chunks on any thread.
  template <class Scratch, class Work>
  void for_each(const engine::Execution<Scalar>& execution, Cost cost, engine::Pool<Scratch>& pool, const Work& work) const {
    const auto of_chunk = [&](Index c) {
      const auto scratch = pool.borrow();
      const Index end = (std::min)(rows, (c + 1) * each);
      for (Index r = c * each; r < end; ++r) work(c, r, *scratch);
    };
    if (count == 1) return of_chunk(0);
    execution.executor().parallel_for(count, of_chunk, cost);
  }

 private:
  static constexpr Index several = 8;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
