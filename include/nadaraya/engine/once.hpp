// Work that is done once, by whichever thread comes first.
#pragma once

#include "nadaraya/detail/brief_lock.hpp"

#include <atomic>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Work that is done once however many threads ask for it; those that come while it is done wait. Where it throws, the next
/// that asks does it. Neither copied nor moved.
class Once {
 public:
  /// As if nobody had asked; not while somebody does.
  void reset() { state_ = none; }
  bool done() const { return state_.load(std::memory_order_acquire) == finished; }

  template <class Work>
  void operator()(const Work& work) {
    while (!done()) {
      int state = none;
      if (state_.compare_exchange_strong(state, begun)) {
        End end{state_};
        work();
        end.state = finished;
        return;
      }
      // To fall asleep and be woken takes longer than to pack the keys of a short head.
      for (int spin = 0; spin < 512 && state_ == begun; ++spin) detail::relax();
      state_.wait(begun);
    }
  }

 private:
  enum State : int { none, begun, finished };
  struct End {
    std::atomic<int>& of;
    int state = none;
    ~End() {
      of.store(state, std::memory_order_release);
      of.notify_all();
    }
  };

  std::atomic<int> state_{none};
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
