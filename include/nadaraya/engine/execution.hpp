// Who executes a call, and where its scratch memory comes from.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/engine/pool.hpp"
#include "nadaraya/loops/arena.hpp"
#include "nadaraya/types.hpp"

#include <concepts>
#include <optional>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Scalar>
struct BlockScratch;

/// Memory that calls share: scratch for blocks, a piece for each of the threads that work at once, and an arena for each of
/// the calls that do. Neither copied nor moved.
template <class Scalar>
class ScratchPool {
 public:
  ScratchPool();
  ~ScratchPool();
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;

  Pool<BlockScratch<Scalar>>& pieces() const { return *pieces_; }
  Pool<Arena>& arenas() { return arenas_; }

 private:
  Pool<BlockScratch<Scalar>>* pieces_;
  Pool<Arena> arenas_;
};

/// An executor that keeps memory of its own for the scalar.
template <class E, class Scalar>
concept KeepsScratch = requires(const E& executor) {
  { executor.scratch() } -> std::same_as<ScratchPool<Scalar>&>;
};

/// The executor of a call, validated, and the memory that it keeps or, if it keeps none, that of the call.
template <class Scalar>
class Execution {
 public:
  template <class E>
    requires(detail::check_executor<E>())
  explicit Execution(const E& executor) : executor_(executor), scratch_(scratch_of(executor)), memory_(scratch_.arenas()) {}
  ~Execution() { memory().clear(); }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  const AnyExecutor& executor() const { return executor_; }
  ScratchPool<Scalar>& scratch() const { return scratch_; }
  /// Of this call.
  Arena& memory() const { return *memory_; }

 private:
  template <class E>
  ScratchPool<Scalar>& scratch_of(const E& executor) {
    if constexpr (std::same_as<E, AnyExecutor>) {
      // It may be a workspace's.
      auto* const kept = executor.template kept<ScratchPool<Scalar>>();
      if (kept != nullptr) return *kept;
    } else if constexpr (requires { executor.scratch(); }) {
      static_assert(KeepsScratch<E, Scalar>, "the workspace is for another scalar than that of the operands");
      return executor.scratch();
    }
    return own_.emplace();
  }

  AnyExecutor executor_;
  std::optional<ScratchPool<Scalar>> own_;
  ScratchPool<Scalar>& scratch_;
  typename Pool<Arena>::Loan memory_;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
