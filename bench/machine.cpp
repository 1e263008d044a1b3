// What the machine gives one thread: fused multiply-adds from the first-level cache, and bytes from memory.
// The floor of every other figure.
#include "inputs.hpp"

#include <nadaraya/loops/chosen.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace {

using namespace nadaraya;

/// The product loop on a panel of keys in the first-level cache: what the scores are formed by.
void products(benchmark::State& state) {
  constexpr Index d = 64, panel = engine::panel_keys, rows = engine::block_queries;
  std::vector<float> queries(static_cast<std::size_t>(rows * d)), keys(static_cast<std::size_t>(d * panel), 0.5f);
  std::vector<float> tile(static_cast<std::size_t>(engine::tile_queries * panel));
  bench::Normal(1).fill(queries);
  for (auto _ : state) {
    for (Index i = 0; i < rows; i += engine::tile_queries) {
      engine::loops<float>().multiply(engine::tile_queries, d, panel, queries.data() + i * d, d, Index(1), keys.data(), panel,
                                      tile.data(), panel);
    }
    benchmark::DoNotOptimize(tile.data());
  }
  bench::count(state, 2.0 * rows * panel * d, 0);
}

/// Sums of many more numbers than any cache holds.
void read_memory(benchmark::State& state) {
  const std::vector<float> numbers(std::size_t{1} << 26, 1.0f);
  const auto n = static_cast<Index>(numbers.size());
  for (auto _ : state) {
    benchmark::DoNotOptimize(engine::loops<float>().largest(numbers.data(), n));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * n * 4);
}

BENCHMARK(products);
BENCHMARK(read_memory)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
