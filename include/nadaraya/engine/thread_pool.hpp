// Threads that stay: one pool for the whole process.
#pragma once

#include "nadaraya/detail/brief_lock.hpp"
#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/processors.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#else
#include <thread>
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// The threads that help with calls of `Threads`. None is started before a call first asks for one; the pool grows to
/// the most helpers that one call has asked for, or several at once as far as there are processors, and keeps them, asleep
/// while there is no work. All calls of all threads share them; each is worked on by its caller too, and does not wait for
/// a helper to become free. A call made by work of the pool runs on the thread that makes it.
///
/// Threads: where the system refuses to start one, a call runs on those there are. A helper has the affinity of the thread
/// whose call started it. It spins for 25 us after its work, unless more threads work than there are processors, and
/// then sleeps.
/// End of the process: the pool has no destructor and is never torn down. It works in static destructors too, and
/// exit and quick_exit end the helpers where they sleep.
/// fork: the child begins with an empty pool and starts helpers of its own. A child that was forked by the work of a call
/// must not return into it (it may exec or _exit): the helpers of that call are not in the child.
/// Memory: none is allocated; a call keeps its state on its stack.
class ThreadPool {
 public:
  /// Threads that work on one call, the calling one among them.
  static constexpr int most_threads = 1024;

  constexpr ThreadPool() = default;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Calls work(0), ..., work(n - 1), each once, on at most `threads` threads, and returns when all are done. If calls
  /// throw, the exception of the lowest i among them reaches the caller, and work that has not begun is left out.
  void run(Index n, int threads, detail::FunctionRef<void(Index)> work);

  /// Processors that this process may use, as the first call finds them; at least 1.
  int processors() {
    int count = processors_;
    if (count == 0) processors_ = count = count_processors(most_threads);
    return count;
  }

  int helpers() {
    const detail::BriefGuard guard(lock_);
    return helpers_;
  }

 private:
  /// One parallel_for, on the stack of its caller. Other members than `next` and `left` are guarded by the lock.
  struct Call {
    detail::FunctionRef<void(Index)> work;
    Index n;
    int places;   ///< helpers that may still join
    int to_wake;  ///< of these, those that have not been woken yet
    int inside = 0;
    bool waiting = false;  ///< does the caller wait for the helpers inside?
    Index failed = 0;      ///< whose exception `error` is
    std::exception_ptr error = nullptr;
    Call* after = nullptr;
    std::atomic<int> left{0};                 ///< a flag: has the last helper left a waiting call?
    alignas(64) std::atomic<Index> next{0};  ///< in a cache line of its own: every thread writes to it
  };

  /// What a thread makes of a flag, which is 0 or set to 1, before it sleeps until it is set.
  static constexpr int asleep = 2;
  /// On the stack of a helper, which never ends.
  struct Helper {
    std::atomic<int> awake{1};  ///< a flag
    Helper* below = nullptr;  ///< in the stack of idle helpers, or among those to be woken
  };

  void share(Call& call);
  void help();
  void work_on(Call& call);

  /// A call with work and a place for one more helper, who has joined it; null if there is none.
  Call* join() {
    for (Call* call = first_; call != nullptr; call = call->after) {
      if (call->places == 0 || call->next >= call->n) continue;
      --call->places;
      ++call->inside;
      return call;
    }
    return nullptr;
  }

  void add(Call& call) {
    Call** end = &first_;
    while (*end != nullptr) end = &(*end)->after;
    *end = &call;
  }

  void remove(Call& call) {
    Call** place = &first_;
    while (*place != nullptr && *place != &call) place = &(*place)->after;
    if (*place != nullptr) *place = call.after;
  }

  /// Takes idle helpers for a call: those that spin, and up to two that sleep. These wake two more each as they join, so that
  /// no thread makes many system calls for it, and nobody is woken for work that is already done.
  Helper* take_idle(Call& call) {
    Helper* const taken = idle_;
    Helper* last = nullptr;
    for (int sleeping = 0; call.to_wake > 0 && idle_ != nullptr; --call.to_wake) {
      if (idle_->awake == asleep && ++sleeping > 2) break;
      last = std::exchange(idle_, idle_->below);
    }
    if (last == nullptr) return nullptr;
    last->below = nullptr;
    return taken;
  }

  static void wake(Helper* taken) {
    while (taken != nullptr) set(std::exchange(taken, taken->below)->awake);
  }
  static void set(std::atomic<int>& flag) {
    if (flag.exchange(1) == asleep) flag.notify_one();
  }

  /// Returns when a flag is set.
  void wait(std::atomic<int>& flag) {
    constexpr std::chrono::microseconds longest_spin(25);  // as long as it takes to wake a thread
    const auto until = std::chrono::steady_clock::now() + longest_spin;
    do {
      for (int spin = 0; spin < 16; ++spin) {
        if (flag == 1) return;
        detail::relax();
      }
    } while (active_ <= processors() && std::chrono::steady_clock::now() < until);
    --active_;
    int unset = 0;
    if (flag.compare_exchange_strong(unset, asleep)) flag.wait(asleep);
    ++active_;
  }

  bool start_helper();
  static bool handle_fork();
  detail::BriefLock lock_;
  Call* first_ = nullptr;          ///< of the calls in progress, by age
  Helper* idle_ = nullptr;         ///< the last to fall asleep is the first to be woken
  int helpers_ = 0;                ///< started, or being started
  int calls_until_retry_ = 0;      ///< after a thread was refused
  std::atomic<int> processors_{0};
  std::atomic<int> active_{0};     ///< threads that work or spin for the pool
};

/// The pool of the process: one for all libraries whose symbols are shared, one in each that hides its own.
inline constinit ThreadPool thread_pool;
static_assert(std::is_trivially_destructible_v<ThreadPool>, "static destructors may use the pool");

/// Does this thread work for the pool?
inline thread_local constinit bool in_thread_pool = false;

inline void ThreadPool::run(Index n, int threads, detail::FunctionRef<void(Index)> work) {
  const Index most = (std::min)({n, Index(threads), Index(most_threads)});
  if (most <= 1 || in_thread_pool || !handle_fork()) {
    for (Index i = 0; i < n; ++i) work(i);
    return;
  }
  const int places = static_cast<int>(most) - 1;
  Call call{work, n, places, places};
  share(call);
  if (call.error) std::rethrow_exception(call.error);
}

inline void ThreadPool::share(Call& call) {
  int missing = 0;
  Helper* taken = nullptr;
  {
    const detail::BriefGuard guard(lock_);
    int wanted = call.places;
    for (const Call* other = first_; other != nullptr; other = other->after) wanted += other->places + other->inside;
    wanted = (std::max)(call.places, (std::min)(wanted, processors() - 1));
    if (helpers_ < wanted && (calls_until_retry_ == 0 || --calls_until_retry_ == 0)) missing = wanted - helpers_;
    helpers_ += missing;
    add(call);
    taken = take_idle(call);
  }
  wake(taken);
  for (; missing > 0 && start_helper(); --missing) {}
  if (missing > 0) {
    constexpr int calls_between = 256;
    const detail::BriefGuard guard(lock_);
    helpers_ -= missing;
    calls_until_retry_ = calls_between;
  }
  ++active_;
  in_thread_pool = true;
  work_on(call);
  in_thread_pool = false;
  {
    const detail::BriefGuard guard(lock_);
    remove(call);
    call.waiting = call.inside > 0;
  }
  if (call.waiting) {
    wait(call.left);
    const detail::BriefGuard guard(lock_);  // the last helper sets `left` and notifies with the lock held: it no longer needs the call
  }
  --active_;
}

inline void ThreadPool::work_on(Call& call) {
  Index i = 0;
  nadaraya::detail::attempt(
      [&] {
        while ((i = call.next++) < call.n) call.work(i);
      },
      [&] {
        // Work is begun in order: whatever else throws, the lowest i that throws has begun.
        call.next = call.n;
        const detail::BriefGuard guard(lock_);
        if (call.error && call.failed < i) return;
        call.error = std::current_exception();
        call.failed = i;
      });
}

inline void ThreadPool::help() {
  Helper self;
  in_thread_pool = true;
  ++active_;
  lock_.lock();
  for (;;) {
    if (Call* const call = join()) {
      Helper* const taken = take_idle(*call);
      lock_.unlock();
      wake(taken);
      work_on(*call);
      lock_.lock();
      if (--call->inside == 0 && call->waiting) {
        set(call->left);
      }
    } else {
      self.awake = 0;
      self.below = idle_;
      idle_ = &self;
      lock_.unlock();
      wait(self.awake);
      lock_.lock();
    }
  }
}

/// False if the system has no thread to give.
inline bool ThreadPool::start_helper() {
#if defined(__unix__) || defined(__APPLE__)
  pthread_attr_t detached;
  if (pthread_attr_init(&detached) != 0) return false;
  pthread_t thread;
  const bool started = pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0 &&
                       pthread_create(
                           &thread, &detached,
                           [](void* pool) -> void* {
                             static_cast<ThreadPool*>(pool)->help();
                             return nullptr;
                           },
                           this) == 0;
  pthread_attr_destroy(&detached);
  return started;
#else
  bool started = true;
  nadaraya::detail::attempt([&] { std::thread([this] { help(); }).detach(); }, [&] { started = false; });
  return started;
#endif
}

/// Makes children of this process begin with a new pool. False if that cannot be had.
inline bool ThreadPool::handle_fork() {
#if defined(__unix__) || defined(__APPLE__)
  // Each thread that finds it undone does it, so that none locks the pool before; twice does no harm.
  static constinit std::atomic<bool> handled{false};
  if (handled) return true;
  if (pthread_atfork(nullptr, nullptr, [] { ::new (static_cast<void*>(&thread_pool)) ThreadPool; }) != 0) return false;
  handled = true;
#endif
  return true;
}

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
