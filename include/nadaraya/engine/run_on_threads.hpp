// What executors ask of the thread pool; declared in executor.hpp.
#pragma once

#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/thread_pool.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

template <class Count>
void run_on_threads(Count n, int threads, nadaraya::detail::FunctionRef<void(Count)> work) {
  thread_pool.run(n, threads, work);
}

template <class Count>
void run_on_processors(Count n, int most, nadaraya::detail::FunctionRef<void(Count)> work) {
  thread_pool.run(n, most == 1 ? 1 : (std::min)(most, thread_pool.processors()), work);
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
