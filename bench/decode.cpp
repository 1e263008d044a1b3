// One query a head against keys and values remembered before: what a decoder does for every token. The cost
// is what is read from memory, so bytes are counted: all keys and values for softmax; for a compact kernel
// with screened keys a byte a number, and what passes. Eight heads of 65,536 keys of 128 numbers are
// 537 MB, far more than any cache holds.
#include "inputs.hpp"

#include <Eigen/SparseCore>

#include <memory>
#include <vector>

namespace {

using namespace nadaraya;

struct Heads {
  static constexpr Index count = 8;
  Screening screening;
  std::vector<KeyValueCache<float>> caches;
  RowMatrix<float> query, out;

  Heads(Index keys, Index dim, Screening how) : screening(how), query(count, dim), out(count, dim) {
    bench::Normal normal(1);
    RowMatrix<float> k(keys, dim), v(keys, dim);
    for (Index h = 0; h < count; ++h) {
      normal.fill(k.reshaped());
      normal.fill(v.reshaped());
      caches.emplace_back(dim, dim, how).append(k, v);
    }
    normal.fill(query.reshaped());
  }

  /// The same for each of a benchmark's repeated calls: making them takes seconds.
  static Heads& of(const benchmark::State& state, Screening screening) {
    static std::unique_ptr<Heads> last;
    const auto keys = static_cast<Index>(state.range(0)), dim = static_cast<Index>(state.range(1));
    if (!last || last->caches.front().rows() != keys || last->query.cols() != dim || last->screening != screening) {
      last.reset();
      last = std::make_unique<Heads>(keys, dim, screening);
    }
    return *last;
  }

  double bytes() const {
    return static_cast<double>(count * caches.front().rows() * query.cols()) * 2 * sizeof(float);
  }
};

/// Softmax over the rows as they lie: scores of a stretch of keys, their weights, and the sum of its values,
/// relative to the largest score so far. Each key and value is read once.
void dense_softmax(const Heads& in, RowMatrix<float>& out) {
  constexpr Index stretch = 256;
  const float scale = 1 / std::sqrt(static_cast<float>(in.query.cols()));
  Eigen::VectorXf p(stretch);
  for (Index h = 0; h < Heads::count; ++h) {
    const auto& cache = in.caches[static_cast<std::size_t>(h)];
    const auto k = cache.keys(), v = cache.values();
    float top = -1e30f, mass = 0;
    Eigen::RowVectorXf sum = Eigen::RowVectorXf::Zero(v.cols());
    for (Index first = 0; first < k.rows(); first += stretch) {
      const Index n = std::min(stretch, k.rows() - first);
      p.head(n).noalias() = k.middleRows(first, n) * in.query.row(h).transpose();
      const float largest = std::max(top, scale * p.head(n).maxCoeff());
      const float rescale = std::exp(top - largest);
      top = largest;
      p.head(n) = (scale * p.head(n).array() - top).exp();
      mass = mass * rescale + p.head(n).sum();
      sum *= rescale;
      sum.noalias() += p.head(n).transpose() * v.middleRows(first, n);
    }
    out.row(h) = sum / mass;
  }
}

void softmax_written_out(benchmark::State& state) {
  Heads& in = Heads::of(state, Screening::never);
  dense_softmax(in, in.out);
  for (Index h = 0; h < Heads::count; ++h) {
    const RowMatrix<float> expected = NadarayaWatson{Gaussian{}}(in.query.row(h), in.caches[static_cast<std::size_t>(h)]);
    if (!((in.out.row(h) - expected).cwiseAbs().maxCoeff() <= 1e-4f)) return state.SkipWithError("the result is wrong");
  }
  for (auto _ : state) {
    dense_softmax(in, in.out);
    benchmark::ClobberMemory();
  }
  state.counters["bytes/s"] = benchmark::Counter(in.bytes(), benchmark::Counter::kIsIterationInvariantRate);
}

template <class K, Screening screening>
void decode(benchmark::State& state) {
  Heads& in = Heads::of(state, screening);
  const Attention op{K{}};
  const HeadView<const float> query = HeadView<const float>::bhnd(in.query.data(), 1, Heads::count, 1, in.query.cols());
  const HeadView<float> out = HeadView<float>::bhnd(in.out.data(), 1, Heads::count, 1, in.query.cols());
  const std::span<const KeyValueCache<float>> caches(in.caches);
  op(query, caches, out);
  const auto& first = in.caches.front();
  const RowMatrix<double> exact =
      NadarayaWatson{K{}}(in.query.row(0).cast<double>(), first.keys().cast<double>(),
                          first.values().cast<double>());
  if (!((in.out.row(0).cast<double>() - exact).cwiseAbs().maxCoeff() <= 1e-4)) return state.SkipWithError("the result is wrong");
  for (auto _ : state) {
    op(query, caches, out);
    benchmark::ClobberMemory();
  }
  // Of a reading of all keys and values.
  state.counters["dense bytes/s"] = benchmark::Counter(in.bytes(), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["support"] = static_cast<double>(NadarayaWatson{K{}}.weights(in.query.row(0), first.keys()).nonZeros());
}

void append(benchmark::State& state) {
  Heads& in = Heads::of(state, Screening::automatic);
  const RowMatrix<float> row = in.query.topRows(1);
  const Index rows = in.caches.front().rows();
  for (auto _ : state) {
    for (auto& cache : in.caches) cache.append(row, row);
  }
  for (auto& cache : in.caches) cache.truncate(rows);
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"keys", "D"})->Unit(benchmark::kMillisecond);
  for (const int n : {1024, 4096, 16384, 65536}) b->Args({n, 128});
  b->Args({65536, 64});
}

BENCHMARK(softmax_written_out)->Apply(sizes);
BENCHMARK_TEMPLATE(decode, Gaussian, Screening::never)->Apply(sizes);
BENCHMARK_TEMPLATE(decode, Epanechnikov, Screening::automatic)->Apply(sizes);
BENCHMARK_TEMPLATE(decode, Biweight, Screening::automatic)->Apply(sizes);
BENCHMARK_TEMPLATE(decode, Biweight, Screening::never)->Apply(sizes);
BENCHMARK_TEMPLATE(decode, Triweight, Screening::automatic)->Apply(sizes);
// Enough that the rare, long growth of the cache counts with its share.
BENCHMARK(append)->Args({65536, 128})->Iterations(8192)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
