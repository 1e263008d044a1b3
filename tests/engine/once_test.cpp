// Work that is done once, and objects that stay with their thread.
#include <nadaraya/engine/once.hpp>
#include <nadaraya/engine/pool.hpp>

#include "tests/support/catch.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace nadaraya;

TEST_CASE("work is done once for all threads, which see its result", "[engine][once]") {
  for (int round = 0; round < 100; ++round) {
    engine::Once once;
    int result = 0;
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        once([&] { ++result; });
        right += result == 1 && once.done() ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    REQUIRE(right == 4);
  }
}

TEST_CASE("work that throws is done by the next that asks", "[engine][once]") {
  engine::Once once;
  REQUIRE_THROWS_AS(once([] { throw std::runtime_error("the first"); }), std::runtime_error);
  REQUIRE(!once.done());
  int done = 0;
  for (int i = 0; i < 3; ++i) once([&] { ++done; });
  REQUIRE(done == 1);
  once.reset();
  once([&] { ++done; });
  REQUIRE(done == 2);
}

TEST_CASE("a thread borrows the object that it returned last", "[engine][pool]") {
  engine::Pool<int> pool;
  std::atomic<bool> borrowed{false}, returned{false};
  std::thread other;
  const int* mine = nullptr;
  {
    const auto loan = pool.borrow();
    mine = &*loan;
    other = std::thread([&] {
      const auto one_more = pool.borrow();
      borrowed = true;
      borrowed.notify_one();
      returned.wait(false);
    });
    borrowed.wait(false);
  }
  returned = true;
  returned.notify_one();
  other.join();
  REQUIRE(&*pool.borrow() == mine);
}
