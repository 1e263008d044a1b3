// The cost of a small call apart from its arithmetic: time and allocations of calls that are repeated with a workspace, and loops
// written by hand for the same shapes. One thread.
#include "inputs.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <span>
#include <vector>

namespace {

std::atomic<long> allocations{0};

void* take(std::size_t size, std::size_t alignment) {
  ++allocations;
  if (void* memory = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return take(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t size, std::align_val_t alignment) { return take(size, static_cast<std::size_t>(alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using namespace nadaraya;

template <class Scalar>
RowMatrix<Scalar> numbers(Index rows, Index cols, std::uint64_t seed) {
  bench::Normal normal(seed);
  RowMatrix<Scalar> m(rows, cols);
  for (Scalar& x : m.reshaped()) x = static_cast<Scalar>(normal());
  return m;
}

const NadarayaWatson biweight{Biweight{}};
const NadarayaWatson gaussian{Gaussian{}};
const NadarayaWatson learned_alpha{RectifiedPower::with_alpha(1.37)};

/// Times a call that has been made a few times, and counts its allocations.
template <class Call>
void repeat(benchmark::State& state, const Call& call) {
  for (int i = 0; i < 3; ++i) call();
  const long before = allocations;
  call();
  const long made = allocations - before;
  for (auto _ : state) {
    call();
    benchmark::ClobberMemory();
  }
  state.counters["allocations"] = static_cast<double>(made);
}

template <class Scalar>
struct Head {
  RowMatrix<Scalar> q, k, v, out, grad_out;

  Head(Index queries, Index keys, Index dim)
      : q(numbers<Scalar>(queries, dim, 1)),
        k(numbers<Scalar>(keys, dim, 2)),
        v(numbers<Scalar>(keys, dim, 3)),
        out(queries, dim),
        grad_out(numbers<Scalar>(queries, dim, 4)) {}
  explicit Head(const benchmark::State& state)
      : Head(static_cast<Index>(state.range(0)), static_cast<Index>(state.range(1)), static_cast<Index>(state.range(2))) {}
};

/// 1.5-entmax attention as one would write it for a few keys: scores, the threshold by sorting (Peters et al. 2019), the sum.
template <class Scalar>
void entmax_by_hand(const Head<Scalar>& in, RowMatrix<Scalar>& out) {
  const Index keys = in.k.rows(), dim = in.k.cols();
  const Scalar scale = Scalar(0.5) / std::sqrt(static_cast<Scalar>(dim));
  std::vector<Scalar> z(static_cast<std::size_t>(keys)), sorted(z.size());
  for (Index i = 0; i < in.q.rows(); ++i) {
    for (Index j = 0; j < keys; ++j) {
      Scalar sum(0);
      for (Index d = 0; d < dim; ++d) sum += in.q(i, d) * in.k(j, d);
      z[static_cast<std::size_t>(j)] = scale * sum;
    }
    sorted = z;
    std::sort(sorted.begin(), sorted.end(), std::greater<Scalar>());
    Scalar sum(0), squares(0), threshold(0);
    for (std::size_t n = 0; n < sorted.size(); ++n) {
      sum += sorted[n];
      squares += sorted[n] * sorted[n];
      const Scalar count = static_cast<Scalar>(n + 1), mean = sum / count;
      const Scalar rest = (Scalar(1) - (squares - mean * sum)) / count;
      const Scalar next = mean - std::sqrt(std::max(rest, Scalar(0)));
      if (next > sorted[n]) break;
      threshold = next;
    }
    for (Index d = 0; d < dim; ++d) out(i, d) = Scalar(0);
    for (Index j = 0; j < keys; ++j) {
      const Scalar t = std::max(z[static_cast<std::size_t>(j)] - threshold, Scalar(0));
      for (Index d = 0; d < dim; ++d) out(i, d) += t * t * in.v(j, d);
    }
  }
}

template <class Scalar>
void by_hand(benchmark::State& state) {
  Head<Scalar> in(state);
  entmax_by_hand(in, in.out);
  const RowMatrix<Scalar> expected = NadarayaWatson{Biweight{}}(in.q, in.k, in.v);
  if (!((in.out - expected).cwiseAbs().maxCoeff() <= Scalar(1e-5))) return state.SkipWithError("the result is wrong");
  repeat(state, [&] { entmax_by_hand(in, in.out); });
}

template <class Scalar, const auto& op>
void forward(benchmark::State& state) {
  Head<Scalar> in(state);
  const Workspace<Scalar> workspace;
  repeat(state, [&] { op(in.q, in.k, in.v, in.out, workspace); });
}

/// Without a workspace: what each call allocates.
template <class Scalar, const auto& op>
void forward_alone(benchmark::State& state) {
  Head<Scalar> in(state);
  repeat(state, [&] { op(in.q, in.k, in.v, in.out); });
}

template <class Scalar, const auto& op>
void training_step(benchmark::State& state) {
  Head<Scalar> in(state);
  const Workspace<Scalar> workspace;
  Tape<Scalar> tape;
  auto grads = op.backward(op.forward(in.q, in.k, in.v, in.out), in.grad_out);
  repeat(state, [&] {
    op.forward(in.q, in.k, in.v, in.out, tape, workspace);
    op.backward(tape, in.grad_out, grads, workspace);
  });
}

/// Arguments: heads, tokens, dim.
void heads(benchmark::State& state) {
  const auto count = static_cast<Index>(state.range(0)), tokens = static_cast<Index>(state.range(1)),
             dim = static_cast<Index>(state.range(2));
  Head<float> in(count * tokens, count * tokens, dim);
  const auto view = [&](const RowMatrix<float>& m) { return HeadView<const float>::bhnd(m.data(), 1, count, tokens, dim); };
  const auto out = HeadView<float>::bhnd(in.out.data(), 1, count, tokens, dim);
  const Attention op{Biweight{}};
  const Workspace<float> workspace;
  repeat(state, [&] { op(view(in.q), view(in.k), view(in.v), out, workspace); });
}

/// One query a head on cached keys. Arguments: heads, key heads, keys, dim.
template <class K>
void decode(benchmark::State& state) {
  const auto count = static_cast<Index>(state.range(0)), key_heads = static_cast<Index>(state.range(1)),
             keys = static_cast<Index>(state.range(2)), dim = static_cast<Index>(state.range(3));
  const auto q = numbers<float>(count, dim, 1);
  RowMatrix<float> out(count, dim);
  std::vector<KeyValueCache<float>> caches;
  for (Index h = 0; h < key_heads; ++h) {
    caches.emplace_back(dim, dim).append(numbers<float>(keys, dim, 10 + std::uint64_t(h)), numbers<float>(keys, dim, 100));
  }
  const std::span<const KeyValueCache<float>> all(caches);
  const Attention op{K{}};
  const Workspace<float> workspace;
  repeat(state, [&] {
    op(HeadView<const float>::bhnd(q.data(), 1, count, 1, dim), all, HeadView<float>::bhnd(out.data(), 1, count, 1, dim), workspace);
  });
}

/// A row within the cache's reserve. Argument: dim.
void append(benchmark::State& state) {
  const auto dim = static_cast<Index>(state.range(0));
  const auto row = numbers<float>(1, dim, 1);
  KeyValueCache<float> cache(dim, dim);
  cache.reserve(2048);
  repeat(state, [&] {
    if (cache.rows() == 2048) cache.truncate(1024);
    cache.append(row, row);
  });
}

}  // namespace

BENCHMARK_TEMPLATE(by_hand, float)->Args({1, 16, 16});
BENCHMARK_TEMPLATE(forward, float, biweight)->Args({1, 16, 16})->Args({128, 128, 64});
BENCHMARK_TEMPLATE(forward, float, gaussian)->Args({1, 16, 16})->Args({128, 128, 64});
BENCHMARK_TEMPLATE(forward_alone, float, biweight)->Args({1, 16, 16});
BENCHMARK_TEMPLATE(by_hand, double)->Args({12, 12, 8});
BENCHMARK_TEMPLATE(forward, double, biweight)->Args({12, 12, 8});
BENCHMARK_TEMPLATE(forward, double, learned_alpha)->Args({12, 12, 8});
BENCHMARK_TEMPLATE(training_step, double, biweight)->Args({12, 12, 8});
BENCHMARK_TEMPLATE(training_step, float, biweight)->Args({128, 128, 64});
BENCHMARK(heads)->Args({64, 16, 16});
BENCHMARK_TEMPLATE(decode, Biweight)->Args({32, 8, 1024, 128});
BENCHMARK_TEMPLATE(decode, Gaussian)->Args({32, 8, 1024, 128});
BENCHMARK(append)->Arg(128);

BENCHMARK_MAIN();
