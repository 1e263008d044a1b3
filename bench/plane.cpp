// Kernel regression in the plane: Epanechnikov, fixed bandwidth, about 50 points within it, as many
// queries as points, both uniform in the unit square and in random order. Ours, which looks points up
// by place; ours over all pairs; and a loop over a kd-tree's radius search (nanoflann), if it is there.
#include "inputs.hpp"

#include <nadaraya/reference.hpp>

#ifdef NADARAYA_HAS_NANOFLANN
#include <nanoflann.hpp>
#endif

#include <cmath>
#include <cstdint>
#include <random>

namespace {

using namespace nadaraya;

struct Plane {
  RowMatrix<float> queries, points, values;
  double bandwidth;

  explicit Plane(Index n)
      : queries(n, 2), points(n, 2), values(n, 1), bandwidth(std::sqrt(50.0 / (3.141592653589793 * double(n)))) {
    std::mt19937_64 engine(7);
    for (auto* m : {&queries, &points}) {
      for (float& x : m->reshaped()) x = static_cast<float>(static_cast<double>(engine() >> 11) * 0x1p-53);
    }
    bench::Normal normal(8);
    for (Index j = 0; j < n; ++j) values(j, 0) = std::sin(20 * points(j, 0)) * points(j, 1) + 0.1f * normal();
  }

  NadarayaWatson<Epanechnikov, FixedBandwidth, SquaredDistance> op() const {
    return NadarayaWatson{Epanechnikov{}, FixedBandwidth{bandwidth}, SquaredDistance{}};
  }
};

/// As if similarities said nothing of their radius: every pair is looked at.
struct Everywhere : SquaredDistance {
  template <class Scalar>
  Scalar radius(const Scalar&, Index) const = delete;
};

/// Is the regression right, at some of the queries?
bool right(const Plane& in, const RowMatrix<float>& out) {
  const Index some = (std::min<Index>)(in.queries.rows(), 3);
  const RowMatrix<double> exact = reference::attend<double>(in.op(), in.queries.topRows(some), in.points, in.values);
  return (out.topRows(some).cast<double>() - exact).cwiseAbs().maxCoeff() <= 1e-4;
}

void regression(benchmark::State& state) {
  const Plane in(state.range(0));
  const Threads threads{static_cast<int>(state.range(1))};
  RowMatrix<float> out = in.op()(in.queries, in.points, in.values, threads);
  if (!right(in, out)) return state.SkipWithError("the result is wrong");
  for (auto _ : state) benchmark::DoNotOptimize(out = in.op()(in.queries, in.points, in.values, threads));
}

void with_tape(benchmark::State& state) {
  const Plane in(state.range(0));
  RowMatrix<float> out;
  state.counters["support"] = in.op().forward(in.queries, in.points, in.values, out).mean_support();
  for (auto _ : state) benchmark::DoNotOptimize(in.op().forward(in.queries, in.points, in.values, out));
}

void backward(benchmark::State& state) {
  const Plane in(state.range(0));
  RowMatrix<float> out;
  const auto tape = in.op().forward(in.queries, in.points, in.values, out);
  for (auto _ : state) benchmark::DoNotOptimize(in.op().backward(tape, out));
}

void all_pairs(benchmark::State& state) {
  const Plane in(state.range(0));
  const NadarayaWatson op{Epanechnikov{}, FixedBandwidth{in.bandwidth}, Everywhere{}};
  RowMatrix<float> out = op(in.queries, in.points, in.values);
  if (out != in.op()(in.queries, in.points, in.values)) return state.SkipWithError("the results differ");
  for (auto _ : state) benchmark::DoNotOptimize(out = op(in.queries, in.points, in.values));
}

#ifdef NADARAYA_HAS_NANOFLANN

struct Cloud {
  const RowMatrix<float>& points;
  std::size_t kdtree_get_point_count() const { return static_cast<std::size_t>(points.rows()); }
  float kdtree_get_pt(std::size_t i, std::size_t d) const { return points(Index(i), Index(d)); }
  template <class Box>
  bool kdtree_get_bbox(Box&) const {
    return false;
  }
};
using Tree = nanoflann::KDTreeSingleIndexAdaptor<nanoflann::L2_Simple_Adaptor<float, Cloud>, Cloud, 2, std::uint32_t>;

/// Sums while points are found: nothing is stored.
struct Sums {
  using DistanceType = float;
  using IndexType = std::uint32_t;

  const RowMatrix<float>& values;
  float square;
  float weights = 0, sum = 0;

  bool addPoint(float distance, std::uint32_t j) {
    if (!(distance < square)) return true;
    const float weight = 1.0f - distance / square;
    weights += weight;
    sum += weight * values(Index(j), 0);
    return true;
  }
  float worstDist() const { return square; }
  bool full() const { return true; }
};

RowMatrix<float> by_tree(const RowMatrix<float>& queries, const Plane& in, std::size_t leaf) {
  const Cloud cloud{in.points};
  Tree tree(2, cloud, {leaf});
  tree.buildIndex();
  RowMatrix<float> out(queries.rows(), 1);
  const auto h = static_cast<float>(in.bandwidth);
  for (Index i = 0; i < queries.rows(); ++i) {
    Sums sums{in.values, h * h};
    tree.findNeighbors(sums, queries.row(i).data(), nanoflann::SearchParams());
    out(i, 0) = sums.weights > 0 ? sums.sum / sums.weights : 0;
  }
  return out;
}

/// Arguments: N, points per leaf.
void kd_tree(benchmark::State& state) {
  const Plane in(state.range(0));
  const auto leaf = static_cast<std::size_t>(state.range(1));
  RowMatrix<float> out = by_tree(in.queries, in, leaf);
  state.counters["difference"] = (out - in.op()(in.queries, in.points, in.values)).cwiseAbs().maxCoeff();
  for (auto _ : state) benchmark::DoNotOptimize(out = by_tree(in.queries, in, leaf));
}

/// The same with queries that were brought into an order in which neighbours follow each other; the
/// time that takes does not count.
void kd_tree_in_order(benchmark::State& state) {
  const Plane in(state.range(0));
  const auto order = engine::morton_order(engine::View<float>{in.queries.data(), in.queries.rows(), 2, 2},
                                            static_cast<float>(in.bandwidth));
  RowMatrix<float> queries(in.queries.rows(), 2);
  for (Index i = 0; i < queries.rows(); ++i) queries.row(i) = in.queries.row(order[static_cast<std::size_t>(i)]);
  RowMatrix<float> out;
  for (auto _ : state) benchmark::DoNotOptimize(out = by_tree(queries, in, static_cast<std::size_t>(state.range(1))));
}

BENCHMARK(kd_tree)
    ->ArgNames({"N", "leaf"})
    ->ArgsProduct({{10000, 100000, 1000000}, {10, 32}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(kd_tree_in_order)->ArgNames({"N", "leaf"})->ArgsProduct({{1000000}, {10, 32}})->Unit(benchmark::kMillisecond);

#endif

BENCHMARK(regression)
    ->ArgNames({"N", "threads"})
    ->ArgsProduct({{10000, 100000, 1000000}, {1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK(with_tape)->ArgName("N")->Arg(10000)->Arg(100000)->Arg(1000000)->Unit(benchmark::kMillisecond);
BENCHMARK(backward)->ArgName("N")->Arg(100000)->Arg(1000000)->Unit(benchmark::kMillisecond);
BENCHMARK(all_pairs)->ArgName("N")->Arg(10000)->Arg(20000)->Arg(40000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
