// Who runs the blocks of an operator: one thread, several, or the user's own executor.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/detail/members.hpp"
#include "nadaraya/detail/misspellings.hpp"
#include "nadaraya/types.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/engine/run_on_threads.hpp"
#endif

#include <concepts>
#include <limits>
#include <memory>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// An executor calls fn(0), ..., fn(n - 1), each once, in any order and on any threads, and returns
/// when all are done. Results do not depend on which. To use a thread pool of your own, wrap it:
///   struct MyPool { template <class Fn> void parallel_for(Index n, const Fn& fn) const; };
/// Memory written by fn must be visible to the caller afterwards; an exception thrown by fn must
/// reach it. Small calls, which threads would only slow down, run on the calling thread and do not ask the executor.
/// An executor may have
///   void validate() const           throws if it cannot execute; called before anything is written
///   int concurrency() const         how many threads work at once at most; of one, less is held in memory at the same time
///   parallel_for(n, fn, Cost)       decides for itself how many threads a call is worth; see CostedExecutor
///   auto& scratch() const           memory kept from call to call: that of a Workspace
/// A call does not compile where one of the others than parallel_for has another signature, or where a name comes close. Other
/// overloads of parallel_for are the executor's own: say next to yours static_assert(nadaraya::CostedExecutor<MyPool>).
template <class E>
concept Executor = requires(const E executor, void (*fn)(Index)) {
  executor.parallel_for(Index{}, fn);
};

namespace detail {

/// Says what an executor lacks, or has with another signature.
template <class E>
constexpr bool check_executor() {
  static_assert(Executor<E>,
                "executor: template <class Fn> void parallel_for(Index n, const Fn& fn) const is missing, or has another signature");
  if constexpr (!has_constrained_members<E>) {
    static_assert(!Names_concurrency<E> || requires(const E executor) { static_cast<int>(executor.concurrency()); },
                  "executor: concurrency must be int concurrency() const");
    static_assert(!Names_validate<E> || requires(const E executor) { executor.validate(); },
                  "executor: validate must be void validate() const");
    static_assert(!Names_scratch<E> || requires(const E executor) { std::addressof(executor.scratch()); },
                  "executor: scratch must be auto& scratch() const, as a Workspace has it");
    static_assert(Names_scratch<E> || !Misspells_scratch<E>, "executor: is a member scratch() misspelt?");
    static_assert(Names_concurrency<E> || !Misspells_concurrency<E>, "executor: is a member concurrency() misspelt?");
    static_assert(Names_validate<E> || !Misspells_validate<E>, "executor: is a member validate() misspelt?");
  }
  return true;
}

/// How many threads of an executor work at once at most; the largest number if it does not say.
template <Executor E>
int concurrency(const E& executor) {
  if constexpr (requires { static_cast<int>(executor.concurrency()); }) {
    return static_cast<int>(executor.concurrency());
  } else {
    return (std::numeric_limits<int>::max)();
  }
}

}  // namespace detail

/// What the calls fn(0), ..., fn(n - 1) cost together, in multiply-adds of a thread at full speed: an estimate.
/// The default is for work of unknown cost, on which all threads are spent.
struct Cost {
  double multiply_adds = std::numeric_limits<double>::infinity();  ///< estimated multiply-adds

  /// A thread is used for at least so many, some 25 us. To wake a sleeping one takes 5 to 50 us, one that still spins after
  /// its last work about one.
  static constexpr double share = 1 << 20;

  /// How many threads have a share each, from 1 to `most`.
  int threads(int most) const {
    if (!(multiply_adds >= 2 * share)) return 1;
    return multiply_adds >= share * most ? most : static_cast<int>(multiply_adds / share);
  }
};

/// An executor that is told the cost and may use fewer threads for less work.
template <class E>
concept CostedExecutor = Executor<E> && requires(const E executor, void (*fn)(Index)) {
  executor.parallel_for(Index{}, fn, Cost{});
};

/// The calling thread. The default everywhere.
struct Serial {
  int concurrency() const { return 1; }  ///< The calling thread alone.

  /// fn(0) to fn(n - 1), in order.
  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    for (Index i = 0; i < n; ++i) fn(i);
  }
};

namespace engine {

/// ThreadPool::run of the pool of the process; for work that is worth `most` threads, on no more than there are processors.
/// Defined in engine/run_on_threads.hpp, as templates, so that the library can hold them: Count is Index.
template <class Count>
void run_on_threads(Count n, int threads, nadaraya::detail::FunctionRef<void(Count)> work);
template <class Count>
void run_on_processors(Count n, int most, nadaraya::detail::FunctionRef<void(Count)> work);

#if defined(NADARAYA_COMPILED)
extern template void run_on_threads<Index>(Index, int, nadaraya::detail::FunctionRef<void(Index)>);
extern template void run_on_processors<Index>(Index, int, nadaraya::detail::FunctionRef<void(Index)>);
#endif

}  // namespace engine

/// Up to `count` threads, the calling one among them; the others are those of the pool of the process
/// (engine/thread_pool.hpp), which starts them when first needed and keeps them. Each takes the next piece of work when it is
/// done with its last. At most 1,024 work on a call, and where the system has no more threads to give, those there
/// are. Operators use a thread only where it has some 25 us of work, and no more threads than there are processors.
/// Pieces of work must not wait for each other. If some throw, the exception of the lowest index reaches the caller;
/// work that has not begun is left out.
/// Throws std::invalid_argument if count < 1.
struct Threads {
  int count = 1;  ///< the most threads to use

  /// Throws std::invalid_argument if count < 1.
  void validate() const { detail::require(count >= 1, "Threads: count must be at least 1, got ", count); }
  int concurrency() const { return count; }  ///< The most threads that work at once.

  /// On `count` threads, whatever the calls cost.
  void parallel_for(Index n, detail::FunctionRef<void(Index)> fn) const {
    validate();
    engine::run_on_threads<Index>(n, count, fn);
  }

  /// On as many threads as the cost is worth, and no more than there are processors.
  void parallel_for(Index n, detail::FunctionRef<void(Index)> fn, Cost cost) const {
    validate();
    engine::run_on_processors<Index>(n, count == 1 ? 1 : cost.threads(count), fn);
  }
};

/// Any executor behind one type, so that the passes are compiled once and not once for each. Refers
/// to an executor, which must outlive it and is validated; costs an indirect call for each piece of work. Calls find the
/// memory that the executor keeps, as a Workspace does.
class AnyExecutor {
 public:
  /// Refers to the executor, after its own check.
  template <Executor E>
    requires(!std::same_as<std::remove_cvref_t<E>, AnyExecutor>)
  AnyExecutor(const E& executor) : executor_(&executor), run_(&run<E>), concurrency_(detail::concurrency(executor)) {
    static_assert(detail::check_executor<E>());
    if constexpr (requires { executor.validate(); }) executor.validate();
    if constexpr (requires { std::addressof(executor.scratch()); }) {
      auto& memory = executor.scratch();
      kept_ = &memory;
      type_of_kept_ = &type<std::remove_cvref_t<decltype(memory)>>;
    }
  }

  /// Does everything run on the calling thread?
  bool alone() const { return concurrency_ == 1; }
  /// How many threads work at once at most; the largest number if that is not known.
  int concurrency() const { return concurrency_; }

  /// The memory of that type that the executor keeps; null if there is none.
  template <class Memory>
  Memory* kept() const {
    return type_of_kept_ == &type<Memory> ? static_cast<Memory*>(kept_) : nullptr;
  }

  /// An executor that is not told the cost is only asked where two threads have a share each.
  void parallel_for(Index n, detail::FunctionRef<void(Index)> fn, Cost cost = {}) const { run_(executor_, n, fn, cost); }

 private:
  using Work = detail::FunctionRef<void(Index)>;

  template <class E>
  static void run(const void* self, Index n, const Work& fn, const Cost& cost) {
    const E& executor = *static_cast<const E*>(self);
    if constexpr (CostedExecutor<E>) {
      executor.parallel_for(n, fn, cost);
    } else if (cost.threads(2) == 1) {
      Serial{}.parallel_for(n, fn);
    } else {
      executor.parallel_for(n, fn);
    }
  }

  /// Its address tells types apart.
  template <class>
  static constexpr char type = 0;

  const void* executor_;
  void* kept_ = nullptr;
  const char* type_of_kept_ = nullptr;
  void (*run_)(const void* self, Index n, const Work& fn, const Cost& cost);
  int concurrency_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
