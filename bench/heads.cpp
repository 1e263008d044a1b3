// Many heads: forward, training step, threads, long sequences and masks; standard normal numbers, float.
#include "inputs.hpp"

#include <cstddef>
#include <vector>

namespace {

using namespace nadaraya;

struct Inputs {
  Index heads, tokens, dim;
  std::vector<float> q, k, v, out, grad_q, grad_k, grad_v;

  Inputs(Index head_count, Index token_count, Index dimension)
      : heads(head_count), tokens(token_count), dim(dimension) {
    bench::Normal normal(1);
    for (auto* x : {&q, &k, &v, &out, &grad_q, &grad_k, &grad_v}) x->resize(static_cast<std::size_t>(heads * tokens * dim));
    for (auto* x : {&q, &k, &v}) normal.fill(*x);
  }

  HeadView<const float> in(const std::vector<float>& x) const { return HeadView<const float>::bhnd(x.data(), 1, heads, tokens, dim); }
  HeadView<float> to(std::vector<float>& x) const { return HeadView<float>::bhnd(x.data(), 1, heads, tokens, dim); }
};

/// Arguments: H, N, D, threads.
template <class K, class M>
void forward(benchmark::State& state) {
  Inputs x(state.range(0), state.range(1), state.range(2));
  const Attention op{K{}, Adaptive{}, DotProduct{}, M{}};
  const Threads threads{static_cast<int>(state.range(3))};
  for (auto _ : state) op(x.in(x.q), x.in(x.k), x.in(x.v), x.to(x.out), threads);
  const double pairs = static_cast<double>(x.heads) * static_cast<double>(x.tokens) * static_cast<double>(x.tokens);
  bench::count(state, 4 * pairs * static_cast<double>(x.dim),
               op.forward(x.in(x.q), x.in(x.k), x.in(x.v), x.to(x.out), threads).mean_support());
}

template <class K, class M>
void training_step(benchmark::State& state) {
  Inputs x(state.range(0), state.range(1), state.range(2));
  const Attention op{K{}, Adaptive{}, DotProduct{}, M{}};
  const Threads threads{static_cast<int>(state.range(3))};
  double support = 0;
  for (auto _ : state) {
    const auto tape = op.forward(x.in(x.q), x.in(x.k), x.in(x.v), x.to(x.out), threads);
    benchmark::DoNotOptimize(op.backward(tape, x.in(x.out), x.to(x.grad_q), x.to(x.grad_k), x.to(x.grad_v), threads));
    support = tape.mean_support();
  }
  const double pairs = static_cast<double>(x.heads) * static_cast<double>(x.tokens) * static_cast<double>(x.tokens);
  bench::count(state, 14 * pairs * static_cast<double>(x.dim), support);
}

struct Window : SlidingWindow {
  Window() : SlidingWindow{256} {}
};

benchmark::internal::Benchmark* in_ms(benchmark::internal::Benchmark* b) {
  return b->ArgNames({"H", "N", "D", "threads"})->Unit(benchmark::kMillisecond)->UseRealTime();
}

void sizes(benchmark::internal::Benchmark* b) {
  in_ms(b);
  for (const int n : {512, 1024, 2048, 4096}) b->Args({8, n, 64, 1});
  for (const int d : {32, 128, 256}) b->Args({8, 1024, d, 1});
}

void threads(benchmark::internal::Benchmark* b) {
  in_ms(b);
  for (const int t : {1, 2, 4, 8, 16}) b->Args({8, 2048, 64, t});
}

void long_sequences(benchmark::internal::Benchmark* b) {
  in_ms(b);
  for (const int n : {8192, 16384, 32768, 65536}) b->Args({1, n, 64, 1});
}

BENCHMARK_TEMPLATE(forward, Epanechnikov, NoMask)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Biweight, NoMask)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Triweight, NoMask)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Gaussian, NoMask)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Biweight, Causal)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Gaussian, Causal)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Biweight, Window)->Apply(sizes);
BENCHMARK_TEMPLATE(training_step, Epanechnikov, NoMask)->Apply(sizes);
BENCHMARK_TEMPLATE(training_step, Biweight, NoMask)->Apply(sizes);
BENCHMARK_TEMPLATE(training_step, Gaussian, NoMask)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Biweight, Causal)->Name("causal_threads")->Apply(threads);
BENCHMARK_TEMPLATE(training_step, Biweight, NoMask)->Name("training_threads")->Apply(threads);
BENCHMARK_TEMPLATE(training_step, Gaussian, NoMask)->Name("softmax_training_threads")->Apply(threads);
BENCHMARK_TEMPLATE(forward, Biweight, NoMask)->Name("long_sequences")->Apply(long_sequences);

}  // namespace

BENCHMARK_MAIN();
