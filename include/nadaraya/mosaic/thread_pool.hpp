// An executor that keeps its threads, for the many short calls of a training step.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/types.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace nadaraya::mosaic {

/// `count` threads, the calling one among them; the others are started here and wait for work. Where
/// the system has no more threads to give, those there are do the work. A call from within another, or
/// from a second thread, runs on its caller. After an exception, work that has not begun is left out.
/// Throws std::invalid_argument if count < 1.
class ThreadPool {
 public:
  explicit ThreadPool(int count) {
    nadaraya::detail::require(count >= 1, "mosaic::ThreadPool: count must be at least 1, got ", count);
    helpers_.reserve(static_cast<std::size_t>(count - 1));
    nadaraya::detail::attempt([&] { for (int i = 1; i < count; ++i) helpers_.emplace_back([this] { help(); }); }, [] {});
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  ~ThreadPool() {
    call_ = nullptr;
    announce();
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
    helping_ = static_cast<int>(helpers_.size());
    announce();
    run();
    for (int left = helping_; left > 0; left = helping_) wait_for_change(helping_, left);
    const std::exception_ptr error = std::exchange(error_, nullptr);
    busy_ = false;
    if (error) std::rethrow_exception(error);
  }

 private:
  void announce() const {
    ++round_;
    round_.notify_all();
  }

  void help() const {
    for (std::uint64_t seen = 0;;) {
      wait_for_change(round_, seen);
      ++seen;
      if (call_ == nullptr) return;
      run();
      if (--helping_ == 0) helping_.notify_one();
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

  /// Work follows work within microseconds: asking a while is faster than being woken.
  template <class T>
  static void wait_for_change(const std::atomic<T>& value, T old) {
    for (int i = 0; i < 400; ++i) {
      if (value != old) return;
      std::this_thread::yield();
    }
    value.wait(old);
  }

  std::vector<std::thread> helpers_;
  mutable std::atomic<bool> busy_{false};
  mutable std::atomic<std::uint64_t> round_{0};
  mutable std::atomic<int> helping_{0};
  mutable std::atomic<Index> next_{0};
  mutable void (*call_)(const void*, Index) = [](const void*, Index) {};
  mutable const void* work_ = nullptr;
  mutable Index n_ = 0;
  mutable std::mutex error_mutex_;
  mutable std::exception_ptr error_;
};

}  // namespace nadaraya::mosaic
