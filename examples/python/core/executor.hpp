// The threads that a call may use, and scratch memory that outlives small calls.
#pragma once

#include "numbers.hpp"

#include "../../support/usage.hpp"

#include <nadaraya/engine/execution.hpp>
#include <nadaraya/engine/executor.hpp>
#include <nadaraya/types.hpp>

#include <pthread.h>

#include <string>

namespace binding {

using nadaraya::Index;

/// As many threads as the process may run on, unless a number is given.
inline nadaraya::Threads executor(nb::handle threads) {
  static const int all = program::default_threads();
  if (threads.is_none()) return nadaraya::Threads{all};
  const Index count = integer("threads", threads);
  if (count < 1) program::refuse("threads must be at least 1, got " + std::to_string(count));
  if (count > program::most_threads) {
    program::refuse("threads must be at most " + std::to_string(program::most_threads) + ", got " + std::to_string(count));
  }
  return nadaraya::Threads{static_cast<int>(count)};
}

/// Threads with the scratch memory of the process: to make it anew would be half the time of a small call.
template <class Scalar>
class KeptScratch {
 public:
  /// A call on this many keys leaves some 5 MB for each thread; larger ones do not gain by it.
  static constexpr Index most_keys = 4096;

  explicit KeptScratch(const nadaraya::Threads& threads) : threads_(threads) {}

  void parallel_for(Index n, nadaraya::detail::FunctionRef<void(Index)> fn) const { threads_.parallel_for(n, fn); }
  void parallel_for(Index n, nadaraya::detail::FunctionRef<void(Index)> fn, nadaraya::Cost cost) const {
    threads_.parallel_for(n, fn, cost);
  }

  nadaraya::engine::ScratchPool<Scalar>& scratch() const {
    // Never freed: threads may still work at the end of the process. A child gets its own, whatever the parent's was
    // doing.
    static Pool* const first = [] {
      ::pthread_atfork(nullptr, nullptr, [] { pool_ = new Pool; });
      return pool_ = new Pool;
    }();
    static_cast<void>(first);
    return *pool_;
  }

 private:
  using Pool = nadaraya::engine::ScratchPool<Scalar>;

  inline static Pool* pool_ = nullptr;
  nadaraya::Threads threads_;
};

/// call(executor), with the kept scratch memory where there are few keys.
template <class Scalar, class Call>
void execute(const nadaraya::Threads& threads, Index keys, const Call& call) {
  if (keys <= KeptScratch<Scalar>::most_keys) {
    call(KeptScratch<Scalar>(threads));
  } else {
    call(threads);
  }
}

}  // namespace binding
