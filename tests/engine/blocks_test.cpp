// How queries are cut into blocks.
#include <nadaraya/loops/blocks.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>

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
