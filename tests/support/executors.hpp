// Executors for tests.
#pragma once

#include <nadaraya/engine/executor.hpp>

#include <atomic>

namespace nadaraya::test {

/// All of `count` threads, however small the work: Threads alone leaves small work to one, and has no more at work than
/// there are processors.
struct EachOf {
  int count = 1;

  void parallel_for(Index n, detail::FunctionRef<void(Index)> fn) const { Threads{count}.parallel_for(n, fn); }
  void parallel_for(Index n, detail::FunctionRef<void(Index)> fn, Cost) const { parallel_for(n, fn); }
};

/// A user's executor, which is not told what work costs; counts its calls.
struct Counting {
  mutable std::atomic<int> calls = 0;

  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    ++calls;
    for (Index i = 0; i < n; ++i) fn(i);
  }
};

/// Runs the last piece of work first.
struct Backwards {
  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    for (Index i = n; i-- > 0;) fn(i);
  }
};

}  // namespace nadaraya::test
