// Work items on the threads of a call, each with scratch memory.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/block_scratch.hpp"
#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar>
ScratchPool<Scalar>::ScratchPool() : pieces_(new Pool<BlockScratch<Scalar>>) {}
template <class Scalar>
ScratchPool<Scalar>::~ScratchPool() {
  delete pieces_;
}

/// work(i, scratch) for i = 0, ..., n - 1, on no more threads than their cost is worth.
template <class Scalar>
void for_each_item(const Execution<Scalar>& execution, Index n, Cost cost,
                   const detail::FunctionRef<void(Index i, BlockScratch<Scalar>& scratch)>& work) {
  execution.executor().parallel_for(n, [&](Index i) {
    const auto scratch = execution.scratch().pieces().borrow();
    work(i, *scratch);
  }, cost);
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
