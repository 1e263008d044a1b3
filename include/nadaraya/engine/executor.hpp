// Who runs the blocks of an operator: one thread, several, or the user's own executor.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/detail/members.hpp"
#include "nadaraya/types.hpp"

#include <atomic>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace nadaraya {

/// An executor calls fn(0), ..., fn(n - 1), each once, in any order and on any threads, and returns
/// when all are done. Results do not depend on which. To use a thread pool of your own, wrap it:
///   struct MyPool { template <class Fn> void parallel_for(Index n, const Fn& fn) const; };
/// Memory written by fn must be visible to the caller afterwards; an exception thrown by fn must
/// reach it. An executor may have
///   void validate() const
/// which throws if it cannot execute; it is called before anything is written.
template <class E>
concept Executor = requires(const E executor, void (*fn)(Index)) {
  executor.parallel_for(Index{}, fn);
};

/// An executor that says of itself that it only ever uses the calling thread. Then what need not be in memory at the same
/// time is not.
template <class E>
concept SerialExecutor = Executor<E> && requires { requires E::serial; };

namespace detail {

/// Says what an executor lacks, or has with another signature.
template <class E>
constexpr bool check_executor() {
  static_assert(Executor<E>,
                "executor: template <class Fn> void parallel_for(Index n, const Fn& fn) const is missing, or has another signature");
  static_assert(!Names_serial<E> || has_constrained_members<E> || requires { typename Flag<E::serial>; },
                "executor: serial must be a static constexpr bool");
  return true;
}

}  // namespace detail

/// The calling thread. The default everywhere.
struct Serial {
  static constexpr bool serial = true;

  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    for (Index i = 0; i < n; ++i) fn(i);
  }
};

/// `count` threads, the calling one among them, started for the call; each takes the next piece of
/// work when it is done with its last. Where the system has no more threads to give, those there are
/// do the work. After an exception, work that has not begun is left out. Throws
/// std::invalid_argument if count < 1.
struct Threads {
  int count = 1;

  void validate() const { detail::require(count >= 1, "Threads: count must be at least 1, got ", count); }

  void parallel_for(Index n, detail::FunctionRef<void(Index)> fn) const {
    validate();
    std::atomic<Index> next{0};
    std::exception_ptr error;
    std::mutex error_mutex;
    const auto take_part = [&] {
      detail::attempt([&] { for (Index i = next++; i < n; i = next++) fn(i); },
                      [&] {
                        const std::lock_guard<std::mutex> lock(error_mutex);
                        error = std::current_exception();
                        next = n;
                      });
    };
    std::vector<std::thread> helpers;
    const Index wanted = n < count ? n : count;
    helpers.reserve(static_cast<std::size_t>(wanted));
    // A thread that cannot be started is done without.
    detail::attempt([&] { for (Index i = 1; i < wanted; ++i) helpers.emplace_back(take_part); }, [] {});
    take_part();
    for (std::thread& helper : helpers) helper.join();
    if (error) std::rethrow_exception(error);
  }
};

/// Any executor behind one type, so that what is executed is compiled once and not once for each. Refers
/// to an executor, which must outlive it and is validated; costs an indirect call for each piece of work.
class AnyExecutor {
 public:
  template <Executor E>
    requires(!std::same_as<std::remove_cvref_t<E>, AnyExecutor>)
  AnyExecutor(const E& executor)
      : executor_(&executor),
        run_([](const void* self, Index n, const Work& fn) { static_cast<const E*>(self)->parallel_for(n, fn); }),
        serial_(SerialExecutor<E>) {
    if constexpr (requires { executor.validate(); }) executor.validate();
  }

  /// Does everything run on the calling thread?
  bool serial() const { return serial_; }

  void parallel_for(Index n, detail::FunctionRef<void(Index)> fn) const { run_(executor_, n, fn); }

 private:
  using Work = detail::FunctionRef<void(Index)>;

  const void* executor_;
  void (*run_)(const void* self, Index n, const Work& fn);
  bool serial_;
};

/// Its serial() says what the executor behind it is.
template <>
inline constexpr bool has_constrained_members<AnyExecutor> = true;

namespace engine {

/// Objects that threads borrow and give back, so that there are only as many as threads.
template <class T>
class Pool {
 public:
  class Loan {
   public:
    Loan(Pool& pool, std::unique_ptr<T> object) : pool_(pool), object_(std::move(object)) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { pool_.give_back(std::move(object_)); }
    T& operator*() const { return *object_; }

   private:
    Pool& pool_;
    std::unique_ptr<T> object_;
  };

  Loan borrow() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) {
      // Room for every loan to come back without an allocation, which could fail.
      idle_.reserve(++count_);
      return Loan(*this, std::make_unique<T>());
    }
    std::unique_ptr<T> object = std::move(idle_.back());
    idle_.pop_back();
    return Loan(*this, std::move(object));
  }

 private:
  void give_back(std::unique_ptr<T> object) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(object));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> idle_;
  std::size_t count_ = 0;
};

}  // namespace engine

}  // namespace nadaraya
