// Independent tasks on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <future>
#include <system_error>
#include <vector>

namespace program {

/// Calls task(0) ... task(count - 1), in no particular order, on at most `threads` threads of which
/// the caller's is one. Where the system has no more threads to give, those there are do the work.
/// An exception of a task reaches the caller when all threads have stopped; tasks that had not begun
/// by then are left out.
inline void for_each_task(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& task) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) task(i);
    } catch (...) {
      next = count;
      throw;
    }
  };
  // Destroyed, a future of std::async waits for its thread.
  std::vector<std::future<void>> others;
  try {
    for (std::size_t t = 1; t < std::min(threads, count); ++t) others.push_back(std::async(std::launch::async, work));
  } catch (const std::system_error&) {
  }
  work();
  for (std::future<void>& other : others) other.get();
}

}  // namespace program
