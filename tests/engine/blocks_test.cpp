// How queries are cut into blocks.
#include <nadaraya/engine/work_items.hpp>
#include <nadaraya/loops/blocks.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

using namespace nadaraya;

TEST_CASE("blocks hold every query once and are alike", "[engine][blocks]") {
  for (Index queries = 0; queries <= 2000; ++queries) {
    Index next = 0, shortest = queries, longest = 0;
    for (Index block = 0; block < engine::block_count(queries); ++block) {
      const engine::QueryRange range = engine::block_range(block, queries);
      REQUIRE(range.first == next);
      REQUIRE(range.first == engine::block_begin(block, queries));
      REQUIRE(range.count >= 1);
      REQUIRE(engine::block_of(range.first, queries) == block);
      next += range.count;
      REQUIRE(engine::block_of(next - 1, queries) == block);
      // The last step of the last block may not be whole.
      const Index steps = (range.count + engine::block_step - 1) / engine::block_step;
      shortest = (std::min)(shortest, steps);
      longest = (std::max)(longest, range.count);
    }
    REQUIRE(next == queries);
    REQUIRE(longest <= engine::block_queries);
    REQUIRE(longest <= (shortest + 1) * engine::block_step);
  }
}

TEST_CASE("items of heads in turn: each once, and as many heads at once as are asked for", "[engine]") {
  for (const Index heads : {1, 2, 7, 48}) {
    for (const Index each : {1, 2, 5}) {
      for (const Index at_once : {1, 2, 3, 16, 1000}) {
        INFO(heads << " heads of " << each << " items, " << at_once << " at once");
        engine::Arena memory;
        engine::WorkItems items(memory);
        for (Index h = 0; h < heads; ++h) items.add(each);
        std::set<std::pair<std::size_t, Index>> seen;
        for (Index i = 0; i < items.total(); ++i) {
          const auto [head, item] = items.in_turn(i, at_once);
          REQUIRE((static_cast<Index>(head) < heads && 0 <= item && item < each));
          REQUIRE(seen.emplace(head, item).second);
          REQUIRE(static_cast<Index>(head) / at_once == i / (at_once * each));
        }
      }
    }
  }
}
