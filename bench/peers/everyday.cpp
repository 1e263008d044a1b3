// Prefill, training and decoding at the sizes of language models, for everyday.py: everyday THREADS prints the milliseconds of
// a call of each case and rule, the median of many calls whose memory is kept.
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

/// 64 dimensions of some heads.
class Heads {
 public:
  Heads(Index heads, Index tokens) : heads_(heads), tokens_(tokens) {}

  std::size_t size() const { return static_cast<std::size_t>(heads_ * tokens_ * dim); }
  std::vector<float> random(unsigned seed) const { return normal(heads_ * tokens_ * dim, seed); }
  HeadView<const float> input(const std::vector<float>& x) const {
    return HeadView<const float>::bhnd(x.data(), 1, heads_, tokens_, dim);
  }
  HeadView<float> output(std::vector<float>& x) const { return HeadView<float>::bhnd(x.data(), 1, heads_, tokens_, dim); }

 private:
  static constexpr Index dim = 64;
  Index heads_, tokens_;
};

template <class A>
void prefill(const char* kind, const char* rule, const A& op, Index heads, Index tokens,
             const Workspace<float, Threads>& workspace) {
  const Heads of(heads, tokens);
  const auto q = of.random(1), k = of.random(2), v = of.random(3);
  std::vector<float> out(of.size());
  const double time = median_ms([&] { op(of.input(q), of.input(k), of.input(v), of.output(out), workspace); });
  std::printf("%s %td %s %.5f\n", kind, tokens, rule, time);
}

/// Forward and backward.
template <class A>
void train(const char* rule, const A& op, Index heads, Index tokens, const Workspace<float, Threads>& workspace) {
  const Heads of(heads, tokens);
  const auto q = of.random(1), k = of.random(2), v = of.random(3), grad = of.random(4);
  std::vector<float> out(of.size()), grad_q(of.size()), grad_k(of.size()), grad_v(of.size());
  AttentionTape<float> tape;
  std::vector<typename A::template ParametersOf<float>> parameters;
  const double time = median_ms([&] {
    op.forward(of.input(q), of.input(k), of.input(v), of.output(out), tape, workspace);
    op.backward(tape, of.input(grad), of.output(grad_q), of.output(grad_k), of.output(grad_v), parameters, workspace);
  });
  std::printf("train %td %s %.5f\n", tokens, rule, time);
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
  const auto of_kernel = [&](const char* rule, const auto& kernel) {
    const Attention op{kernel, Adaptive{}};
    for (const Index tokens : {128, 512, 1024, 2048}) prefill("prefill", rule, op, 8, tokens, workspace);
    for (const Index tokens : {128, 384}) prefill("batch", rule, op, 48, tokens, workspace);
    prefill("causal", rule, Attention{kernel, Adaptive{}, Causal{}}, 8, 2048, workspace);
    for (const Index tokens : {512, 2048}) train(rule, op, 8, tokens, workspace);
  };
  of_kernel("sparsemax", Epanechnikov{});
  of_kernel("1.5-entmax", Biweight{});
  of_kernel("4/3-entmax", Triweight{});
  of_kernel("softmax", Gaussian{});
  for (const Index keys : {1024, 8192}) {
    std::vector<KeyValueCache<float>> caches;
    for (unsigned head = 0; head < 8; ++head) {
      const auto k = normal(keys * 128, 10 + head), v = normal(keys * 128, 20 + head);
      caches.emplace_back(128, 128).append(Eigen::Map<const RowMatrix<float>>(k.data(), keys, 128),
                                           Eigen::Map<const RowMatrix<float>>(v.data(), keys, 128));
    }
    decode("sparsemax", Attention{Epanechnikov{}, Adaptive{}}, caches, workspace);
    decode("1.5-entmax", Attention{Biweight{}, Adaptive{}}, caches, workspace);
    decode("4/3-entmax", Attention{Triweight{}, Adaptive{}}, caches, workspace);
    decode("softmax", Attention{Gaussian{}, Adaptive{}}, caches, workspace);
  }
}
