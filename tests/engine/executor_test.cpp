// Work on several threads.
#include <nadaraya/engine/executor.hpp>
#include <nadaraya/workspace.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using nadaraya::Index;
using nadaraya::Threads;

TEST_CASE("each task is done once, by any number of threads", "[parallel]") {
  for (const Index count : {0, 1, 2, 7, 100}) {
    for (const int threads : {1, 2, 3, 8, 1000}) {
      INFO(count << " tasks, " << threads << " threads");
      std::vector<int> done(static_cast<std::size_t>(count), 0);
      Threads{threads}.parallel_for(count, [&](Index i) { ++done[static_cast<std::size_t>(i)]; });
      REQUIRE(done == std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  }
}

TEST_CASE("three threads work at the same time, and no fourth", "[parallel]") {
  std::mutex mutex;
  std::condition_variable arrival;
  int working = 0, most = 0;
  // Each of the first three tasks waits for the two others, and then a while for one too many.
  Threads{3}.parallel_for(30, [&](Index i) {
    std::unique_lock lock(mutex);
    most = std::max(most, ++working);
    arrival.notify_all();
    if (i < 3) {
      arrival.wait_for(lock, std::chrono::seconds(10), [&] { return most >= 3; });
      arrival.wait_for(lock, std::chrono::milliseconds(200), [&] { return most > 3; });
    }
    --working;
  });
  REQUIRE(most == 3);
}

TEST_CASE("an exception of any task reaches the caller, and the tasks that follow are left out", "[parallel]") {
  for (const int threads : {1, 2, 8}) {
    for (const Index bad : {0, 5, 99}) {
      INFO(threads << " threads, task " << bad << " fails");
      std::atomic<int> begun = 0;
      const auto run = [&] {
        Threads{threads}.parallel_for(100, [&](Index i) {
          ++begun;
          if (i == bad) throw std::invalid_argument("task " + std::to_string(i));
        });
      };
      REQUIRE_THROWS_AS(run(), std::invalid_argument);
      begun = 0;
      REQUIRE_THROWS_WITH(run(), "task " + std::to_string(bad));
      if (threads == 1) REQUIRE(begun == static_cast<int>(bad) + 1);
    }
  }
}

TEST_CASE("the caller waits for the other threads even where its own task fails", "[parallel]") {
  const std::thread::id caller = std::this_thread::get_id();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto wait_for = [&](const std::atomic<bool>& other) {
    while (!other && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  };
  std::atomic<bool> caller_begun = false, other_begun = false, other_done = false;
  const auto run = [&] {
    Threads{2}.parallel_for(2, [&](Index) {
      if (std::this_thread::get_id() == caller) {
        caller_begun = true;
        wait_for(other_begun);
        throw std::runtime_error("mine");
      }
      other_begun = true;
      wait_for(caller_begun);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      other_done = true;
    });
  };
  REQUIRE_THROWS_WITH(run(), "mine");
  REQUIRE(other_done);
}

TEST_CASE("an executor says how many threads work at once", "[parallel]") {
  using nadaraya::AnyExecutor;
  struct Own {
    void parallel_for(Index n, nadaraya::detail::FunctionRef<void(Index)> fn) const { nadaraya::Serial{}.parallel_for(n, fn); }
  };
  REQUIRE(AnyExecutor(nadaraya::Serial{}).alone());
  const Threads one{1}, three{3};
  REQUIRE(AnyExecutor(one).alone());
  REQUIRE_FALSE(AnyExecutor(three).alone());
  REQUIRE(AnyExecutor(three).concurrency() == 3);
  const nadaraya::Workspace<float, Threads> kept_one(one), kept_three(three);
  REQUIRE(AnyExecutor(kept_one).alone());
  REQUIRE(AnyExecutor(kept_three).concurrency() == 3);
  const AnyExecutor any(kept_one);
  REQUIRE(nadaraya::Workspace<float, AnyExecutor>(any).concurrency() == 1);
  const Own own;
  REQUIRE_FALSE(AnyExecutor(own).alone());
}
