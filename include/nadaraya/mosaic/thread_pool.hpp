// An executor that keeps its threads, for the many short calls of a training step.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/types.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace nadaraya::mosaic {

/// `count` threads, the calling one among them; the others are started here and wait for work. Where
/// the system has no more threads to give, those there are do the work. A call returns as soon as its work
/// is done: it waits for helpers at work, not for those that are late. A call from within another, or from a
/// second thread, runs on its caller. After an exception, work that has not begun is left out.
/// Throws std::invalid_argument unless 1 <= count <= 4096.
class ThreadPool {
 public:
  explicit ThreadPool(int count) {
    nadaraya::detail::require(count >= 1 && count <= 4096, "mosaic::ThreadPool: count must be from 1 to 4096, got ", count);
    helpers_.reserve(static_cast<std::size_t>(count - 1));
    nadaraya::detail::attempt([&] { for (int i = 1; i < count; ++i) helpers_.emplace_back([this] { help(); }); }, [] {});
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  ~ThreadPool() {
    call_ = nullptr;
    open();
    for (std::thread& helper : helpers_) helper.join();
  }

  int count() const { return static_cast<int>(helpers_.size()) + 1; }

  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    if (n <= 1 || helpers_.empty() || busy_.exchange(true)) {
      for (Index i = 0; i < n; ++i) fn(i);
      return;
    }
    call_ = [](const void* work, Index i) { (*static_cast<const Fn*>(work))(i); };
    work_ = &fn;
    n_ = n;
    next_ = 0;
    open();
    run();
    close();
    const std::exception_ptr error = std::exchange(error_, nullptr);
    busy_ = false;
    if (error) std::rethrow_exception(error);
  }

 private:
  // The gate holds the number of helpers inside and, above it, a count of openings and closings: open if odd.
  static constexpr std::uint32_t turn = 4096;
  static constexpr std::uint32_t inside = turn - 1;

  void open() const {
    gate_ += turn;
    gate_.notify_all();
  }

  /// Nobody comes in any more; returns when the last one has left.
  void close() const {
    const std::uint32_t gate = gate_ += turn;
    if ((gate & inside) == 0) return;
    const std::uint32_t closed = gate & ~inside;
    for (std::uint32_t left = left_; left != closed; left = left_) wait_for_change(left_, left);
  }

  void help() const {
    std::uint32_t seen = 0;
    for (std::uint32_t gate = gate_;;) {
      const std::uint32_t now = gate & ~inside;
      if ((now & turn) == 0 || now == seen) {
        wait_for_change(gate_, gate);
        gate = gate_;
      } else if (gate_.compare_exchange_weak(gate, gate + 1)) {
        seen = now;
        if (call_ == nullptr) return;
        run();
        gate = --gate_;
        if ((gate & (turn | inside)) == 0) {
          left_ = gate;
          left_.notify_one();
        }
      }
    }
  }

  void run() const {
    nadaraya::detail::attempt([&] { for (Index i = next_++; i < n_; i = next_++) call_(work_, i); },
                              [&] {
                                const std::lock_guard<std::mutex> lock(error_mutex_);
                                error_ = std::current_exception();
                                next_ = n_;
                              });
  }

  /// In training, work follows work within some hundred microseconds, and waking a thread takes as long:
  /// asks for a millisecond or so, letting others have the core, before it sleeps.
  static void wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
    do {
      for (int i = 0; i < 64; ++i) {
        if (value != old) return;
        relax();
      }
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < until);
    value.wait(old);
  }

  static void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  std::vector<std::thread> helpers_;
  mutable std::atomic<bool> busy_{false};
  mutable std::atomic<std::uint32_t> gate_{0};
  mutable std::atomic<std::uint32_t> left_{0};
  mutable void (*call_)(const void*, Index) = [](const void*, Index) {};
  mutable const void* work_ = nullptr;
  mutable Index n_ = 0;
  mutable std::mutex error_mutex_;
  mutable std::exception_ptr error_;
  alignas(64) mutable std::atomic<Index> next_{0};  // asked for by all: not beside what all read
};

}  // namespace nadaraya::mosaic
