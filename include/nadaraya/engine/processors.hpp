// How many processors there are for threads.
#pragma once

#include <algorithm>

#if defined(__linux__)
#include <sched.h>
#elif defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#else
#include <thread>
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Processors that this process may use, at most `most`.
inline int count_processors(int most) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return (std::max)(1, CPU_COUNT(&allowed));
  return most;  // more than the set has room for
#elif defined(__unix__) || defined(__APPLE__)
  return static_cast<int>(std::clamp(sysconf(_SC_NPROCESSORS_ONLN), 1L, long{most}));
#else
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, most);
#endif
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
