// Normalizers over the rows of a matrix, and their pullbacks: float, one thread.
#include "inputs.hpp"

namespace {

using namespace nadaraya;

RowMatrix<float> scores(const benchmark::State& state) {
  RowMatrix<float> x(state.range(0), state.range(1));
  bench::Normal(1).fill(x.reshaped());
  return x;
}

void count_rows(benchmark::State& state, const RowMatrix<float>& p) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * p.size());
  state.counters["support"] = static_cast<double>((p.array() > 0.0f).count()) / static_cast<double>(p.rows());
}

template <class Normalize>
void forward(benchmark::State& state, const Normalize& normalize) {
  const RowMatrix<float> x = scores(state);
  RowMatrix<float> p = normalize(x);
  const float error = (p.rowwise().sum().array() - 1.0f).abs().maxCoeff();
  if (!(error <= 1e-5f)) return state.SkipWithError("the rows do not sum to one");
  for (auto _ : state) benchmark::DoNotOptimize(p = normalize(x));
  count_rows(state, p);
}

void softmax_rows(benchmark::State& state) {
  forward(state, [](const auto& x) { return softmax(x); });
}
void sparsemax_rows(benchmark::State& state) {
  forward(state, [](const auto& x) { return sparsemax(x); });
}
void entmax15_rows(benchmark::State& state) {
  forward(state, [](const auto& x) { return entmax(x, 1.5); });
}
void entmax13_rows(benchmark::State& state) {
  forward(state, [](const auto& x) { return entmax(x, 1.3); });
}

void entmax15_pullback(benchmark::State& state) {
  const RowMatrix<float> x = scores(state);
  const RowMatrix<float> p = entmax(x, 1.5), grad = scores(state);
  for (auto _ : state) benchmark::DoNotOptimize(entmax_pullback(p, grad, 1.5));
  count_rows(state, p);
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "columns"})->Unit(benchmark::kMillisecond)->Args({4096, 64})->Args({512, 4096})->Args({64, 32768});
}

BENCHMARK(softmax_rows)->Apply(sizes);
BENCHMARK(sparsemax_rows)->Apply(sizes);
BENCHMARK(entmax15_rows)->Apply(sizes);
BENCHMARK(entmax13_rows)->Apply(sizes);
BENCHMARK(entmax15_pullback)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
