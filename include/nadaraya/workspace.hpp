// Scratch memory that outlives a call.
#pragma once

#include "nadaraya/engine/execution.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/instances.hpp"
#include "nadaraya/types.hpp"

#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// An executor that keeps the memory of its calls for the next time, so that a repeated call allocates nothing:
///   const Workspace<float, Threads> workspace(Threads{4});
///   for (...) op.forward(query, key, value, out, tape, workspace);
/// The same call gives the same bits with it as without. Operators of any policies and sizes may share one, also at the
/// same time. It may be passed as AnyExecutor; an executor of your own that wraps one is one itself if it has
///   auto& scratch() const { return workspace.scratch(); }
/// Memory: for each of the threads that work at once as much as the largest block of 96 queries so far has needed, a number
/// and a key for each of their candidates, and about 100 KiB; for each of the calls that run at once the copies that the
/// largest so far has made of its operands, as for packed keys, and on the way back the recorded pairs of its largest head.
/// Three things still allocate: a grid of keys, rows prepared by a similarity (Cosine), and policies of your own that do.
/// Neither copied nor moved.
template <class Scalar, Executor E = Serial>
class Workspace {
 public:
  int concurrency() const { return detail::concurrency(executor_); }  ///< As the executor says.

  /// Runs on a copy of the executor.
  explicit Workspace(E executor = E{}) : executor_(std::move(executor)) { static_assert(engine::check_compiled<Scalar>()); }

  /// Throws what the executor's own check throws.
  void validate() const {
    if constexpr (requires(const E& executor) { executor.validate(); }) executor_.validate();
  }

  /// The executor's.
  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    executor_.parallel_for(n, fn);
  }
  /// The executor's, told the cost.
  template <class Fn>
  void parallel_for(Index n, const Fn& fn, Cost cost) const {
    AnyExecutor(executor_).parallel_for(n, fn, cost);
  }

  engine::ScratchPool<Scalar>& scratch() const { return scratch_; }  ///< The memory that is kept.

 private:
  E executor_;
  mutable engine::ScratchPool<Scalar> scratch_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
