// Threads that stay: shared by all calls, asleep between them, new after fork, there until the process ends.
#include <nadaraya/engine/executor.hpp>
#include <nadaraya/engine/thread_pool.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/executors.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__unix__)
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

using nadaraya::AnyExecutor;
using nadaraya::Cost;
using nadaraya::Index;
using nadaraya::Serial;
using nadaraya::Threads;
using nadaraya::engine::thread_pool;

namespace {

bool each_once(const Threads& threads, Index n) {
  std::vector<std::atomic<int>> done(static_cast<std::size_t>(n));
  threads.parallel_for(n, [&](Index i) { ++done[static_cast<std::size_t>(i)]; });
  for (const auto& one : done) {
    if (one != 1) return false;
  }
  return true;
}

/// How many threads take part in work of that cost that gives each of them time to.
template <class E>
std::size_t threads_used(const E& executor, double multiply_adds) {
  std::vector<std::thread::id> ids(64);
  AnyExecutor(executor).parallel_for(64, [&](Index i) {
    std::this_thread::sleep_for(std::chrono::microseconds(500));
    ids[static_cast<std::size_t>(i)] = std::this_thread::get_id();
  }, Cost{multiply_adds});
  return std::set<std::thread::id>(ids.begin(), ids.end()).size();
}

/// Uses the pool when other static objects may be gone.
struct AtTheEnd {
  ~AtTheEnd() {
    if (each_once(Threads{3}, 50)) return;
    std::fputs("a static destructor's call is wrong\n", stderr);
    std::_Exit(1);
  }
} const at_the_end;

}  // namespace

TEST_CASE("a pool of threads does each piece once, call after call", "[pool]") {
  for (const int threads : {1, 2, 3, 8}) {
    for (Index n = 0; n < 300; ++n) REQUIRE(each_once(Threads{threads}, n));
  }
}

TEST_CASE("threads are kept, and no more of them than a call has asked for", "[pool]") {
  each_once(Threads{4}, 100);
  const int helpers = thread_pool.helpers();
  REQUIRE(helpers >= 3);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([] { for (int i = 0; i < 100; ++i) each_once(Threads{4}, 20); });
  }
  for (std::thread& caller : callers) caller.join();
  // Calls at the same time may have one for each processor.
  const int shared = thread_pool.helpers();
  REQUIRE(shared >= helpers);
  REQUIRE(shared <= std::max(helpers, thread_pool.processors() - 1));
  // One piece for each of so many threads, the caller among them.
  each_once(Threads{shared + 3}, shared + 2);
  REQUIRE(thread_pool.helpers() == shared + 1);
}

TEST_CASE("calls of several threads share the pool", "[pool]") {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&wrong, caller] {
      for (int i = 0; i < 300; ++i) wrong += each_once(Threads{2 + caller % 4}, 1 + (i + caller) % 17) ? 0 : 1;
    });
  }
  for (std::thread& caller : callers) caller.join();
  REQUIRE(wrong == 0);
}

TEST_CASE("calls within work run on its thread", "[pool]") {
  std::atomic<int> sum = 0, elsewhere = 0;
  Threads{3}.parallel_for(20, [&](Index) {
    const std::thread::id here = std::this_thread::get_id();
    Threads{3}.parallel_for(7, [&](Index) {
      ++sum;
      elsewhere += std::this_thread::get_id() == here ? 0 : 1;
    });
  });
  REQUIRE(sum == 140);
  REQUIRE(elsewhere == 0);
  // Not within work of the pool: the outer loop is serial.
  sum = 0;
  Serial{}.parallel_for(3, [&](Index) { Threads{3}.parallel_for(7, [&](Index) { ++sum; }); });
  REQUIRE(sum == 21);
}

TEST_CASE("of several exceptions the one of the first piece reaches the caller", "[pool]") {
  for (const Index late : {9, 10}) {
    for (int repetition = 0; repetition < 20; ++repetition) {
      std::atomic<bool> second_begun = false;
      const auto run = [&] {
        Threads{4}.parallel_for(60, [&](Index i) {
          if (i != 9 && i != 10) return;
          if (i == 10) second_begun = true;
          // Not for ever: there may be one thread.
          const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
          while (!second_begun && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
          if (i == late) std::this_thread::sleep_for(std::chrono::milliseconds(1));
          throw std::runtime_error(std::to_string(i));
        });
      };
      REQUIRE_THROWS_WITH(run(), "9");
      REQUIRE(each_once(Threads{4}, 5));
    }
  }
}

TEST_CASE("a thread whose call has thrown is not taken for one at work", "[pool]") {
  REQUIRE_THROWS_WITH(Threads{3}.parallel_for(9, [](Index i) { if (i == 4) throw std::runtime_error("four"); }), "four");
  REQUIRE(threads_used(nadaraya::test::EachOf{2}, 0) == 2);
}

TEST_CASE("idle threads sleep", "[pool]") {
  each_once(Threads{8}, 100);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double seconds = double(std::clock() - before) / CLOCKS_PER_SEC;
  REQUIRE(seconds <= 0.05);
}

TEST_CASE("a number of threads below 1 is refused", "[pool]") {
  bool called = false;
  const auto work = [&](Index) { called = true; };
  for (const int count : {0, -1, std::numeric_limits<int>::min()}) {
    const std::string message = "nadaraya::Threads: count must be at least 1, got " + std::to_string(count);
    REQUIRE_THROWS_WITH(Threads{count}.parallel_for(3, work), message);
    REQUIRE_THROWS_WITH(Threads{count}.parallel_for(3, work, Cost{0}), message);
    REQUIRE_THROWS_AS(Threads{count}.parallel_for(0, work), std::invalid_argument);
  }
  REQUIRE(!called);
}

TEST_CASE("as many threads as the cost is worth", "[pool]") {
  REQUIRE(Cost{}.threads(5) == 5);
  REQUIRE(Cost{0}.threads(5) == 1);
  REQUIRE(Cost{std::numeric_limits<double>::quiet_NaN()}.threads(5) == 1);
  REQUIRE(Cost{1.99 * Cost::share}.threads(5) == 1);
  REQUIRE(Cost{2 * Cost::share}.threads(5) == 2);
  REQUIRE(Cost{3.5 * Cost::share}.threads(5) == 3);
  REQUIRE(Cost{1e300}.threads(5) == 5);
  REQUIRE(Cost{1e300}.threads(1) == 1);

  REQUIRE(threads_used(Threads{16}, Cost::share) == 1);
  REQUIRE(threads_used(Threads{16}, 2 * Cost::share) <= 2);
  REQUIRE(threads_used(Threads{16}, 1e300) <= static_cast<std::size_t>(thread_pool.processors()));
  REQUIRE(threads_used(nadaraya::test::EachOf{4}, 0) > 1);
}

TEST_CASE("an executor that is not told the cost is not asked for small work", "[pool]") {
  const nadaraya::test::Counting executor;
  const AnyExecutor any = executor;
  int done = 0;
  any.parallel_for(10, [&](Index) { ++done; }, Cost{1.99 * Cost::share});
  REQUIRE(executor.calls == 0);
  any.parallel_for(10, [&](Index) { ++done; }, Cost{2 * Cost::share});
  REQUIRE(executor.calls == 1);
  any.parallel_for(10, [&](Index) { ++done; });
  REQUIRE(executor.calls == 2);
  REQUIRE(done == 30);
}

#if defined(__unix__) && !defined(__SANITIZE_THREAD__)
// ThreadSanitizer allows no threads in a child that was forked beside others.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NADARAYA_TEST_NO_FORK
#endif
#endif
#ifndef NADARAYA_TEST_NO_FORK

namespace {

/// Exit status of a child that does work() and ends with its result, -1 if it does not end by itself.
template <class Work>
int in_child(const Work& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    std::quick_exit(work());
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a child of fork starts threads of its own", "[pool]") {
  each_once(Threads{4}, 100);
  const auto work = [] {
    if (thread_pool.helpers() != 0) return 1;
    for (int i = 0; i < 50; ++i) {
      if (!each_once(Threads{4}, 40)) return 2;
    }
    if (thread_pool.helpers() != 3) return 3;
    // And a child of the child.
    return in_child([] { return thread_pool.helpers() == 0 && each_once(Threads{3}, 40) ? 0 : 4; });
  };
  REQUIRE(in_child(work) == 0);
  REQUIRE(each_once(Threads{4}, 100));
}

TEST_CASE("a child of fork starts afresh also where other threads were at work", "[pool]") {
  std::atomic<bool> stop = false;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 2; ++caller) callers.emplace_back([&] { while (!stop) each_once(Threads{3}, 10); });
  int failed = 0;
  // In the child a sanitizer may wait for a lock that one of the callers held.
  const int children = nadaraya::test::sanitized ? 0 : 30;
  for (int i = 0; i < children; ++i) {
    failed += in_child([] {
      std::atomic<int> sum = 0;
      for (int call = 0; call < 20; ++call) Threads{3}.parallel_for(10, [&](Index) { ++sum; });
      return sum == 200 ? 0 : 1;
    }) == 0 ? 0 : 1;
  }
  stop = true;
  for (std::thread& caller : callers) caller.join();
  REQUIRE(failed == 0);
}

TEST_CASE("of 5,000 threads 1,024 work, and fewer where the system has no more", "[pool]") {
  REQUIRE(in_child([] {
            if (!each_once(Threads{5000}, 3000)) return 1;
            return thread_pool.helpers() < nadaraya::engine::ThreadPool::most_threads ? 0 : 2;
          }) == 0);
  if (nadaraya::test::sanitized) return;
  // No memory for stacks.
  REQUIRE(in_child([] {
            const rlimit none{1, 1};
            std::vector<std::atomic<int>> done(3000);
            if (setrlimit(RLIMIT_AS, &none) != 0) return 1;
            for (int repetition = 0; repetition < 3; ++repetition) {
              Threads{1000}.parallel_for(3000, [&](Index i) { ++done[static_cast<std::size_t>(i)]; });
            }
            for (const auto& one : done) {
              if (one != 3) return 2;
            }
            return thread_pool.helpers() < 999 ? 0 : 3;
          }) == 0);
}

#endif
#endif
