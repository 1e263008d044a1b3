// A lock for some instructions.
#pragma once

#include <atomic>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Tells the processor that this thread waits in a loop.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // some 10 ns; yield takes none
#endif
}

/// Holds off other threads for some instructions; sleeps where it has to wait longer than that. Free once constructed
/// anew, as after fork. 0 is free, 1 held, 2 held and perhaps waited for.
class BriefLock {
 public:
  void lock() {
    for (int spin = 0; spin < 64; ++spin) {
      int free = 0;
      if (state_.compare_exchange_weak(free, 1)) return;
      relax();
    }
    while (state_.exchange(2) != 0) state_.wait(2);
  }
  void unlock() {
    if (state_.exchange(0) == 2) state_.notify_one();
  }

 private:
  std::atomic<int> state_{0};
};

class BriefGuard {
 public:
  explicit BriefGuard(BriefLock& lock) : lock_(lock) { lock_.lock(); }
  BriefGuard(const BriefGuard&) = delete;
  BriefGuard& operator=(const BriefGuard&) = delete;
  ~BriefGuard() { lock_.unlock(); }

 private:
  BriefLock& lock_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
