// Who executes a call, and where its scratch memory comes from.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/types.hpp"

#include <concepts>
#include <optional>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class T>
class Pool;
template <class Scalar>
struct BlockScratch;

/// Scratch memory for blocks, a piece for each of the threads that work at once. Neither copied nor moved.
template <class Scalar>
class ScratchPool {
 public:
  ScratchPool();
  ~ScratchPool();
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;

  Pool<BlockScratch<Scalar>>& pieces() const { return *pieces_; }

 private:
  Pool<BlockScratch<Scalar>>* pieces_;
};

/// An executor that keeps scratch memory of its own for the scalar.
template <class E, class Scalar>
concept KeepsScratch = requires(const E& executor) {
  { executor.scratch() } -> std::same_as<ScratchPool<Scalar>&>;
};

/// The executor of a call, validated, and the scratch memory that it keeps or, if it keeps none, that of the call.
template <class Scalar>
class Execution {
 public:
  template <class E>
    requires(detail::check_executor<E>())
  explicit Execution(const E& executor) : executor_(executor) {
    if constexpr (requires { executor.scratch(); }) {
      static_assert(KeepsScratch<E, Scalar>, "the workspace is for another scalar than that of the operands");
      scratch_ = &executor.scratch();
    } else {
      scratch_ = &own_.emplace();
    }
  }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  const AnyExecutor& executor() const { return executor_; }
  ScratchPool<Scalar>& scratch() const { return *scratch_; }

 private:
  AnyExecutor executor_;
  std::optional<ScratchPool<Scalar>> own_;
  ScratchPool<Scalar>* scratch_ = nullptr;
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
