// Forward and backward passes of one head on standard normal queries, keys and values, float,
// one thread. The scores alone cost 2 N N D operations, at the rate of `products` in machine.cpp.
#include "inputs.hpp"

#include <nadaraya/reference.hpp>

namespace {

using namespace nadaraya;

struct Inputs {
  RowMatrix<float> q, k, v;

  Inputs(Index n, Index d, float score_scale) : q(n, d), k(n, d), v(n, d) {
    bench::Normal normal(1);
    for (auto* m : {&q, &k, &v}) normal.fill(m->reshaped());
    q *= score_scale;
  }
};

/// Arguments: N, D, score scale in percent.
Inputs inputs(const benchmark::State& state) {
  return Inputs(state.range(0), state.range(1), static_cast<float>(state.range(2)) / 100.0f);
}

template <class Op>
bool right(const Op& op, const Inputs& in) {
  const RowMatrix<double> exact = reference::attend<double>(op, in.q.topRows(2), in.k, in.v);
  return (op(in.q.topRows(2), in.k, in.v).template cast<double>() - exact).cwiseAbs().maxCoeff() <= 1e-4;
}

template <class K>
void forward(benchmark::State& state) {
  const Inputs in = inputs(state);
  const NadarayaWatson op{K{}, Adaptive{}};
  if (!right(op, in)) return state.SkipWithError("the result is wrong");
  RowMatrix<float> out;
  const double support = op.forward(in.q, in.k, in.v, out).mean_support();
  for (auto _ : state) benchmark::DoNotOptimize(op.forward(in.q, in.k, in.v, out));
  const auto n = static_cast<double>(state.range(0)), d = static_cast<double>(state.range(1));
  bench::count(state, 4 * n * n * d, support);
}

template <class K>
void backward(benchmark::State& state) {
  const Inputs in = inputs(state);
  const NadarayaWatson op{K{}, Adaptive{}};
  RowMatrix<float> out;
  const auto tape = op.forward(in.q, in.k, in.v, out);
  for (auto _ : state) benchmark::DoNotOptimize(op.backward(tape, out));
  const auto n = static_cast<double>(state.range(0)), d = static_cast<double>(state.range(1));
  bench::count(state, 10 * n * n * d, tape.mean_support());
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"N", "D", "scale%"})->Unit(benchmark::kMillisecond);
  for (const int n : {512, 4096}) {
    for (const int d : {64, 128}) b->Args({n, d, 100});
  }
  b->Args({4096, 64, 25})->Args({4096, 64, 400});
}

BENCHMARK_TEMPLATE(forward, Epanechnikov)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Biweight)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Triweight)->Apply(sizes);
BENCHMARK_TEMPLATE(forward, Gaussian)->Apply(sizes);
BENCHMARK_TEMPLATE(backward, Epanechnikov)->Apply(sizes);
BENCHMARK_TEMPLATE(backward, Biweight)->Apply(sizes);
BENCHMARK_TEMPLATE(backward, Triweight)->Apply(sizes);
BENCHMARK_TEMPLATE(backward, Gaussian)->Args({512, 64, 100})->Args({4096, 64, 100})->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
