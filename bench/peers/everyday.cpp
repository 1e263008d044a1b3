// Prefill and decoding at the sizes of language models, for everyday.py: everyday THREADS prints the milliseconds of a call
// of each case and rule, the median of many calls whose memory is kept.
#include <nadaraya/nadaraya.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <span>
#include <vector>

namespace {

using namespace nadaraya;

std::vector<float> normal(Index count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& x : numbers) x = distribution(generator);
  return numbers;
}

/// Half a second of calls, 5 at least, after three that are not counted.
double median_ms(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) call();
  std::vector<double> times;
  for (double sum = 0; sum < 500 || times.size() < 5; sum += times.back()) {
    const auto begin = Clock::now();
    call();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

template <class A>
void prefill(const char* rule, const A& op, Index tokens, const Workspace<float, Threads>& workspace) {
  constexpr Index heads = 8, dim = 64;
  const Index count = heads * tokens * dim;
  const auto q = normal(count, 1), k = normal(count, 2), v = normal(count, 3);
  std::vector<float> out(q.size());
  const auto input = [&](const std::vector<float>& x) { return HeadView<const float>::bhnd(x.data(), 1, heads, tokens, dim); };
  const double time = median_ms(
      [&] { op(input(q), input(k), input(v), HeadView<float>::bhnd(out.data(), 1, heads, tokens, dim), workspace); });
  std::printf("prefill %td %s %.5f\n", tokens, rule, time);
}

template <class A>
void decode(const char* rule, const A& op, std::span<const KeyValueCache<float>> caches,
            const Workspace<float, Threads>& workspace) {
  constexpr Index heads = 32, dim = 128;
  const auto q = normal(heads * dim, 1);
  std::vector<float> out(q.size());
  const double time = median_ms([&] {
    op(HeadView<const float>::bhnd(q.data(), 1, heads, 1, dim), caches, HeadView<float>::bhnd(out.data(), 1, heads, 1, dim),
       workspace);
  });
  std::printf("decode %td %s %.5f\n", caches.front().rows(), rule, time);
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count == 2 ? std::atoi(arguments[1]) : 0;
  if (threads < 1) return std::fputs("usage: everyday THREADS\n", stderr), 2;
  const Workspace<float, Threads> workspace(Threads{threads});
  const Attention entmax{Biweight{}, Adaptive{}};
  const Attention softmax{Gaussian{}, Adaptive{}};
  for (const Index tokens : {128, 512, 1024, 2048}) {
    prefill("1.5-entmax", entmax, tokens, workspace);
    prefill("softmax", softmax, tokens, workspace);
  }
  for (const Index keys : {1024, 8192}) {
    std::vector<KeyValueCache<float>> caches;
    for (unsigned head = 0; head < 8; ++head) {
      const auto k = normal(keys * 128, 10 + head), v = normal(keys * 128, 20 + head);
      caches.emplace_back(128, 128).append(Eigen::Map<const RowMatrix<float>>(k.data(), keys, 128),
                                           Eigen::Map<const RowMatrix<float>>(v.data(), keys, 128));
    }
    decode("1.5-entmax", entmax, caches, workspace);
    decode("softmax", softmax, caches, workspace);
  }
}
