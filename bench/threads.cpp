// Small calls on 1 to 16 threads: what starting, waking and joining them costs. 8 heads of 64 dimensions, float.
#include "inputs.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace {

using namespace nadaraya;

constexpr Index heads = 8, dim = 64;

std::vector<float> normal(std::uint64_t seed, Index tokens) {
  std::vector<float> x(static_cast<std::size_t>(heads * tokens * dim));
  bench::Normal(seed).fill(x);
  return x;
}

template <class T>
auto view(T* x, Index tokens) {
  return HeadView<T>::bhnd(x, 1, heads, tokens, dim);
}

const Attention<Biweight> attention;

/// Arguments: N, threads.
void forward(benchmark::State& state) {
  const Index n = state.range(0);
  const Threads threads{static_cast<int>(state.range(1))};
  const std::vector<float> q = normal(1, n), k = normal(2, n), v = normal(3, n);
  std::vector<float> out(q.size());
  for (auto _ : state) {
    attention(view(q.data(), n), view(k.data(), n), view(v.data(), n), view(out.data(), n), threads);
  }
}

/// One query for each head, N remembered keys.
void decode(benchmark::State& state) {
  const Index n = state.range(0);
  const Threads threads{static_cast<int>(state.range(1))};
  const std::vector<float> q = normal(1, 1), k = normal(2, n), v = normal(3, n);
  std::vector<float> out(q.size());
  std::vector<KeyValueCache<float>> caches;
  for (Index h = 0; h < heads; ++h) {
    const auto rows = [&](const std::vector<float>& x) { return Eigen::Map<const RowMatrix<float>>(x.data() + h * n * dim, n, dim); };
    caches.emplace_back(dim, dim).append(rows(k), rows(v));
  }
  for (auto _ : state) {
    attention(view(q.data(), 1), std::span<const KeyValueCache<float>>(caches), view(out.data(), 1), threads);
  }
}

void threads(benchmark::internal::Benchmark* b) {
  b->ArgNames({"N", "threads"})->Unit(benchmark::kMicrosecond)->UseRealTime();
}

BENCHMARK(forward)->Apply(threads)->ArgsProduct({{32, 128, 512}, {1, 2, 4, 8, 16}});
BENCHMARK(decode)->Apply(threads)->ArgsProduct({{1024, 16384}, {1, 2, 4, 8, 16}});

}  // namespace

BENCHMARK_MAIN();
