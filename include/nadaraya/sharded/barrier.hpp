// Where the threads of a group meet.
#pragma once

#include "nadaraya/detail/brief_lock.hpp"
#include "nadaraya/engine/processors.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded::detail {

/// Meetings of a number of threads, one after the other. One that leaves the group sets those free that wait for it. A thread
/// that waits spins for a while, if there is a processor for each, and sleeps then.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads), spins_(threads <= engine::count_processors(threads)) {}

  /// How many meetings there have been: the same number for all threads, from one of their waits to the next.
  std::uint32_t meetings() const { return state_.load(std::memory_order_acquire) / 2; }

  /// Returns once all threads are here; throws std::runtime_error if one never comes.
  void wait() {
    const std::uint32_t before = state_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      // Nobody comes to the next meeting before this number has changed.
      waiting_.store(0, std::memory_order_relaxed);
      state_.fetch_add(2, std::memory_order_acq_rel);
      state_.notify_all();
      return;
    }
    std::uint32_t now = spins_ ? spin(before) : state_.load(std::memory_order_acquire);
    while (now / 2 == before / 2) {
      if (now % 2 != 0) throw std::runtime_error("nadaraya::sharded::InProcessRank: another rank has left the group");
      state_.wait(now, std::memory_order_acquire);
      now = state_.load(std::memory_order_acquire);
    }
  }

  /// Says that a thread does not come again.
  void leave() {
    state_.fetch_or(1, std::memory_order_acq_rel);
    state_.notify_all();
  }

 private:
  /// Looks out for another state than a known one, for a while; returns the last one seen. Ranks of equal work arrive within some
  /// tenths of a millisecond of each other; each that slept would come late to the next meeting as well, and all wait for it. A thread
  /// that has looked out for some microseconds lets others have its processor in between.
  std::uint32_t spin(std::uint32_t known) const {
    constexpr std::chrono::microseconds busy(5), longest(1000);
    const auto begin = std::chrono::steady_clock::now();
    for (;;) {
      for (int i = 0; i < 16; ++i) {
        const std::uint32_t now = state_.load(std::memory_order_acquire);
        if (now != known) return now;
        nadaraya::detail::relax();
      }
      const auto waited = std::chrono::steady_clock::now() - begin;
      if (waited > longest) return known;
      if (waited > busy) std::this_thread::yield();
    }
  }

  const int threads_;
  const bool spins_;
  std::atomic<int> waiting_{0};
  std::atomic<std::uint32_t> state_{0};  ///< twice the meetings, and 1 once a thread has left
};

}  // namespace nadaraya::sharded::detail

#include "nadaraya/detail/end_precise.hpp"
