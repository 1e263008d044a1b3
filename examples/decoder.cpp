// One layer of a decoder: a key-value cache for all heads, filled by prompts of different lengths and then token by token.
#include <nadaraya/nadaraya.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

using namespace nadaraya;

namespace {

// Query heads 0 and 1 read key head 0, 2 and 3 read key head 1.
constexpr Index heads = 4, key_heads = 2, dim = 16, window = 48;

/// Numbers [1 x heads x tokens x dim], in the place of what a model's projections give for the tokens of a step.
struct Projection {
  Index count, tokens;
  std::vector<float> numbers;

  Projection(Index head_count, Index token_count, float seed)
      : count(head_count), tokens(token_count), numbers(static_cast<std::size_t>(head_count * token_count * dim)) {
    float x = seed;
    for (float& number : numbers) {
      x = std::fmod(1.7f * x + 0.9f, 100.0f);
      number = 2.0f * std::sin(x);
    }
  }
  HeadView<float> view() { return HeadView<float>::bhnd(numbers.data(), 1, count, tokens, dim); }
};

}  // namespace

int main() {
  const Attention attention{Biweight{}, Adaptive{}, DotProduct{}, SlidingWindow{window}};  // 1.5-entmax
  LayerCache<Eigen::bfloat16> cache(2, key_heads, dim, dim);  // two sequences; LayerCache<float> stores floats
  cache.reserve(3 * window / 2 + 40);                         // half as much again as is kept, and the longest prompt

  // Each step has some tokens of each sequence, packed along the tokens: two prompts, of 40 and 5 tokens; a token each, a
  // hundred times; at last three for the first sequence, as speculative decoding drafts them, and none for the second.
  std::vector<Packed> steps{Packed({0, 40, 45})};
  for (int i = 0; i < 100; ++i) steps.push_back(Packed({0, 1, 2}));
  steps.push_back(Packed({0, 3, 3}));

  float worst = 0;
  for (const Packed& step : steps) {
    const Index tokens = step.query.back();
    const float seed = static_cast<float>(cache.forgotten(0) + cache.length(0));
    Projection query(heads, tokens, seed), key(key_heads, tokens, seed + 0.3f), value(key_heads, tokens, seed + 0.6f);
    Projection out(heads, tokens, 0);
    cache.append(key.view(), value.view(), step);
    attention(query.view(), cache, out.view(), step);

    // Query head 3 of the first sequence is the operator on the rows in the cache.
    const Index queries = step.query[1];
    const auto& head = cache.head(0, 1);
    const RowMatrix<float> keys = head.keys().cast<float>(), values = head.values().cast<float>();
    const RowMatrix<float> expected = attention.head(3)(query.view().rows(0, 3, 0, queries), keys, values);
    worst = std::fmax(worst, (out.view().rows(0, 3, 0, queries) - expected).cwiseAbs().maxCoeff());

    if (queries == 3) cache.truncate(0, cache.length(0) - 2);  // two of three drafted tokens are rejected
    // The next query sees itself and the window - 1 keys before it: older ones are forgotten.
    for (Index s = 0; s < cache.sequences(); ++s) {
      if (cache.length(s) >= window) cache.forget_oldest(s, cache.length(s) - (window - 1));
    }
  }
  const Index copy = cache.fork(0);  // another continuation of the first sequence
  for (Index s = 0; s < cache.sequences(); ++s) {
    std::printf("sequence %d: %d tokens, of which the last %d are cached\n", static_cast<int>(s),
                static_cast<int>(cache.forgotten(s) + cache.length(s)), static_cast<int>(cache.length(s)));
  }
  std::printf("largest difference from the operator on the cached rows: %g\n", static_cast<double>(worst));
  const bool lengths = cache.forgotten(0) + cache.length(0) == 141 && cache.forgotten(1) + cache.length(1) == 105;
  return lengths && cache.length(copy) == window - 1 && worst <= 1e-5f ? 0 : 1;
}
