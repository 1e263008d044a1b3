// Tasks on several threads.
#include "examples/attend/parallel.hpp"

#include "tests/support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using program::for_each_task;

TEST_CASE("each task is done once, by any number of threads", "[parallel]") {
  for (const std::size_t count : {0u, 1u, 2u, 7u, 100u}) {
    for (const std::size_t threads : {1u, 2u, 3u, 8u, 1000u}) {
      INFO(count << " tasks, " << threads << " threads");
      std::vector<int> done(count, 0);
      for_each_task(count, threads, [&](std::size_t i) { ++done[i]; });
      REQUIRE(done == std::vector<int>(count, 1));
    }
  }
}

TEST_CASE("three threads work at the same time, and no fourth", "[parallel]") {
  std::mutex mutex;
  std::condition_variable arrival;
  int working = 0, most = 0;
  // Each of the first three tasks waits for the two others, and then a while for one too many.
  for_each_task(30, 3, [&](std::size_t i) {
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
  for (const std::size_t threads : {1u, 2u, 8u}) {
    for (const std::size_t bad : {0u, 5u, 99u}) {
      INFO(threads << " threads, task " << bad << " fails");
      std::atomic<int> begun = 0;
      const auto run = [&] {
        for_each_task(100, threads, [&](std::size_t i) {
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
    for_each_task(2, 2, [&](std::size_t) {
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
