// A cache for the heads of a layer gives what its rows together give, whatever was appended and removed in which order.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/message.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::difference;
using test::message;

namespace {

constexpr Index key_heads = 2, heads = 4, D = 20, Dv = 7;

/// The tokens of one step: packed along the tokens of one batch entry.
struct Step {
  Packed tokens;
  RowMatrix<float> k, v, q;  ///< [heads x tokens] rows

  Step(test::Random& random, const std::vector<Index>& counts) : tokens(offsets(counts)) {
    const Index n = tokens.key.back();
    k = random.normal<float>(key_heads * n, D);
    v = random.normal<float>(key_heads * n, Dv);
    q = random.normal<float>(heads * n, D, 2.0);
  }

  Index count() const { return tokens.key.back(); }
  HeadView<const float> key() const { return HeadView<const float>::bhnd(k.data(), 1, key_heads, count(), D); }
  HeadView<const float> value() const { return HeadView<const float>::bhnd(v.data(), 1, key_heads, count(), Dv); }
  HeadView<const float> query() const { return HeadView<const float>::bhnd(q.data(), 1, heads, count(), D); }

 private:
  static std::vector<Index> offsets(const std::vector<Index>& counts) {
    std::vector<Index> all{0};
    for (const Index count : counts) all.push_back(all.back() + count);
    return all;
  }
};

/// What a cache should hold: keys and values of [sequence][key head].
struct Model {
  std::vector<std::vector<RowMatrix<float>>> k, v;

  explicit Model(Index sequences) {
    for (Index s = 0; s < sequences; ++s) add();
  }
  void add() {
    k.emplace_back(std::size_t(key_heads), RowMatrix<float>(0, D));
    v.emplace_back(std::size_t(key_heads), RowMatrix<float>(0, Dv));
  }
  template <class Change>
  void each(std::size_t s, const Change& change) {
    for (std::size_t h = 0; h < std::size_t(key_heads); ++h) {
      k[s][h] = change(k[s][h]);
      v[s][h] = change(v[s][h]);
    }
  }
  void append(const Step& step) {
    for (std::size_t s = 0; s < k.size(); ++s) {
      const Index first = step.tokens.key[s], count = step.tokens.key[s + 1] - first;
      for (Index h = 0; h < key_heads; ++h) {
        k[s][std::size_t(h)] = joined(k[s][std::size_t(h)], step.key().rows(0, h, first, count));
        v[s][std::size_t(h)] = joined(v[s][std::size_t(h)], step.value().rows(0, h, first, count));
      }
    }
  }

 private:
  template <class More>
  static RowMatrix<float> joined(const RowMatrix<float>& a, const More& b) {
    RowMatrix<float> both(a.rows() + b.rows(), a.cols());
    both << a, b;
    return both;
  }
};

/// The cache and an Attention call over it, against the operator on the rows of each head.
template <class Attention>
void check(const Attention& op, const LayerCache<float>& cache, const Model& model, const Step& step) {
  RowMatrix<float> out = RowMatrix<float>::Constant(heads * step.count(), Dv, 77.0f), again = out;
  const auto view = HeadView<float>::bhnd(out.data(), 1, heads, step.count(), Dv);
  op(step.query(), cache, view, step.tokens);
  op(step.query(), cache, HeadView<float>::bhnd(again.data(), 1, heads, step.count(), Dv), step.tokens, Threads{3});
  REQUIRE(difference(again, out, 0) == "");
  REQUIRE(cache.sequences() == static_cast<Index>(model.k.size()));
  for (Index s = 0; s < cache.sequences(); ++s) {
    const Index first = step.tokens.query[std::size_t(s)], count = step.tokens.query[std::size_t(s) + 1] - first;
    for (Index h = 0; h < heads; ++h) {
      const Index key_head = h * key_heads / heads;
      const RowMatrix<float>&k = model.k[std::size_t(s)][std::size_t(key_head)], &v = model.v[std::size_t(s)][std::size_t(key_head)];
      CAPTURE(s, h, count, k.rows());
      REQUIRE(cache.length(s) == k.rows());
      REQUIRE(difference(cache.head(s, key_head).keys(), k, 0) == "");
      REQUIRE(difference(cache.head(s, key_head).values(), v, 0) == "");
      const RowMatrix<float> q = step.query().rows(0, h, first, count);
      const RowMatrix<float> expected = op.head(h).with(Screening::never)(q, k, v);
      REQUIRE(difference(RowMatrix<float>(view.rows(0, h, first, count)), expected, 3e-4L) == "");
    }
  }
}

/// A window of 40 keys with holes and a bias, of a key's absolute and of its relative position.
struct OddMask {
  KeyRange range(Index query, const Extent& n) const { return n.clip(n.diagonal(query) - 39, n.diagonal(query) + 1); }
  bool visible(Index query, Index key, const Extent& n) const { return (n.diagonal(query) - key) % 5 != 1; }
  float bias(Index query, Index key, const Extent& n) const {
    return key % 7 == 3 ? -std::numeric_limits<float>::infinity() : -0.1f * static_cast<float>(n.diagonal(query) - key);
  }
};

template <class Attention>
void check_all_changes(const Attention& op, Screening screening) {
  test::Random random(3);
  LayerCache<float> cache(3, key_heads, D, Dv, screening);
  Model model(3);
  const auto take = [&](const std::vector<Index>& counts) {
    const Step step(random, counts);
    cache.append(step.key(), step.value(), step.tokens);
    model.append(step);
    check(op, cache, model, step);
  };
  const auto forget = [&](Index s, Index count) {
    cache.forget_oldest(s, count);
    model.each(std::size_t(s), [&](const auto& x) { return x.bottomRows(x.rows() - count).eval(); });
  };
  take({0, 1, 130});
  take({2, 5, 1});
  take({200, 0, 0});
  forget(0, 70);
  take({1, 1, 1});
  forget(2, 65);
  forget(0, 101);
  take({3, 60, 7});
  take({50, 0, 70});  // one is moved to the beginning of its memory, one to larger memory
  const Index before = cache.length(2);
  cache.truncate(2, before - 30);
  model.each(2, [&](const auto& x) { return x.topRows(before - 30).eval(); });
  REQUIRE(cache.fork(0) == 3);
  model.k.push_back(model.k[0]);
  model.v.push_back(model.v[0]);
  take({1, 2, 3, 4});
  cache.remove_sequence(1);
  model.k.erase(model.k.begin() + 1);
  model.v.erase(model.v.begin() + 1);
  forget(0, cache.length(0));
  REQUIRE(cache.add_sequence() == 3);
  model.add();
  take({1, 1, 1, 0});
  take({8, 1, 70, 2});
  const LayerCache<float> copy = cache;
  forget(1, 20);
  take({1, 1, 1, 1});
  LayerCache<float> moved = std::move(cache);
  cache = copy;
  REQUIRE(cache.forgotten(0) == copy.forgotten(0));
  REQUIRE(moved.length(1) == copy.length(1) - 19);
}

}  // namespace

TEST_CASE("a layer's cache is its rows, whatever was appended and removed", "[cache]") {
  check_all_changes(Attention{Biweight{}, Adaptive{}, DotProduct{}, Causal{}}, Screening::always);
  check_all_changes(Attention{Gaussian{}, Adaptive{}, DotProduct{}, SlidingWindow{33}}, Screening::never);
  check_all_changes(Attention{Gaussian{}, NearestNeighbors{9}, DotProduct{}, OddMask{}}, Screening::automatic);
}

TEST_CASE("keys that a sliding window does not see may be forgotten, and memory stays bounded", "[cache]") {
  constexpr Index window = 100;
  test::Random random(5);
  const Attention op{Biweight{}, Adaptive{}, DotProduct{}, SlidingWindow{window}};
  LayerCache<float> all(1, key_heads, D, Dv), kept(1, key_heads, D, Dv);
  kept.reserve(3 * window / 2 + 1);
  RowMatrix<float> of_all(heads, Dv), of_kept(heads, Dv);
  std::size_t bytes = 0;
  for (Index i = 0; i < 1000; ++i) {
    const Step step(random, {1});
    all.append(step.key(), step.value());
    bytes += test::bytes_allocated_in([&] {
      kept.append(0, step.key(), step.value());
      kept.forget_oldest(0, (std::max)(kept.length(0) - window, Index(0)));
    });
    if (i % 37 != 0) continue;
    op(step.query(), all, HeadView<float>::bhnd(of_all.data(), 1, heads, 1, Dv));
    op(step.query(), kept, HeadView<float>::bhnd(of_kept.data(), 1, heads, 1, Dv));
    REQUIRE(difference(of_kept, of_all, 2e-6L) == "");
  }
  REQUIRE(kept.length(0) == window);
  REQUIRE(kept.forgotten(0) == 1000 - window);
  // A list of heads, once.
  REQUIRE(bytes <= std::size_t(4096));
}

TEST_CASE("a layer's cache is unchanged where memory runs out", "[cache][errors]") {
  test::Random random(6);
  const Attention op{Biweight{}};
  const Step first(random, {100, 3}), more(random, {70, 64});
  for (const Index forgotten : {0, 40, 80}) {
    const auto make = [&] {
      LayerCache<float> made(2, key_heads, D, Dv, Screening::always);
      made.append(first.key(), first.value(), first.tokens);
      made.forget_oldest(0, forgotten);
      return made;
    };
    const LayerCache<float> before = make();
    LayerCache<float> after = make(), cache = make();
    after.append(more.key(), more.value(), more.tokens);
    const auto result = [&](const LayerCache<float>& of) {
      RowMatrix<float> out(heads * more.count(), Dv);
      op(more.query(), of, HeadView<float>::bhnd(out.data(), 1, heads, more.count(), Dv), more.tokens);
      return out;
    };
    const RowMatrix<float> out_before = result(before), out_after = result(after);
    for (long failures = 0; test::fails_at(failures, [&] { cache.append(more.key(), more.value(), more.tokens); }); ++failures) {
      REQUIRE(cache.length(0) == before.length(0));
      REQUIRE(cache.length(1) == 3);
      if (failures % 3 == 0) REQUIRE(difference(result(cache), out_before, 0) == "");
    }
    REQUIRE(difference(result(cache), out_after, 0) == "");
    for (long failures = 0; test::fails_at(failures, [&] { cache.fork(0); }); ++failures) REQUIRE(cache.sequences() == 2);
    REQUIRE(cache.sequences() == 3);
    for (long failures = 0; test::fails_at(failures, [&] { cache.add_sequence(); }); ++failures) REQUIRE(cache.sequences() == 3);
    REQUIRE(cache.length(3) == 0);
  }
}

TEST_CASE("errors of a layer's cache name the argument and change nothing", "[cache][errors]") {
  test::Random random(7);
  LayerCache<float> cache(2, key_heads, D, Dv);
  const Step step(random, {4, 2});
  cache.append(step.key(), step.value(), step.tokens);
  const auto says = [&](const std::string& text, const auto& call) {
    const std::string said = message(call);
    CAPTURE(said, text);
    REQUIRE(said.find(text) != std::string::npos);
    REQUIRE(cache.length(0) == 4);
    REQUIRE(cache.length(1) == 2);
  };
  says("LayerCache: need at least one key head and no negative number of sequences, got 0 and 2", [] { LayerCache<float>(2, 0, D, Dv); });
  says("KeyValueCache: columns must not be negative", [] { LayerCache<float>(2, 1, -1, Dv); });
  says("LayerCache::length: there are 2 sequences, got number 2", [&] { cache.length(2); });
  says("LayerCache::head: there are 2 key heads, got 2", [&] { cache.head(0, 2); });
  says("LayerCache::append: there are tokens for 1 x 1 sequences, and the cache has 2", [&] { cache.append(step.key(), step.value()); });
  says("LayerCache::append: key and value must be [b x 2 x n x 20] and [b x 2 x n x 7], got [1 x 2 x 6 x 20] and [1 x 2 x 6 x 20]",
       [&] { cache.append(step.key(), step.key(), step.tokens); });
  says("LayerCache::append: the offsets of key must rise from 0 to its 6 tokens", [&] { cache.append(step.key(), step.value(), Packed({0, 2, 5})); });
  says("LayerCache::append: key and value must not share memory with the cache", [&] {
    const auto own = HeadView<const float>::bhnd(cache.head(0, 0).keys().data(), 1, key_heads, 1, D);
    const Step one(random, {1});
    cache.append(0, own, one.value());
  });
  says("LayerCache::append: tokens of one sequence need a batch of 1, got 2", [&] {
    cache.append(0, HeadView<const float>::bhnd(step.k.data(), 2, key_heads, 3, D), HeadView<const float>::bhnd(step.v.data(), 2, key_heads, 3, Dv));
  });
  says("LayerCache::truncate: rows must lie between 0 and 2, got 3", [&] { cache.truncate(1, 3); });
  says("LayerCache::forget_oldest: count must lie between 0 and the 4 tokens, got 5", [&] { cache.forget_oldest(0, 5); });
  says("LayerCache::fork: there are 2 sequences, got number -1", [&] { cache.fork(-1); });
  const Attention op{Biweight{}};
  RowMatrix<float> out = RowMatrix<float>::Constant(heads * 6, Dv, 5.0f);
  const auto view = HeadView<float>::bhnd(out.data(), 1, heads, 6, Dv);
  says("Attention::operator(): need caches for a number of key heads that divides 4 in each of 3 sequences, got 4",
       [&] { op(step.query(), cache, view, Packed({0, 1, 2, 6})); });
  says("Attention::operator(): the offsets of query must rise from 0 to its 6 tokens", [&] { op(step.query(), cache, view, Packed({0, 1, 2})); });
  says("Attention::operator(): out must have 7 columns like the cached values, got 20",
       [&] { op(step.query(), cache, HeadView<float>::bhnd(out.data(), 1, heads, 6, D), step.tokens); });
  REQUIRE((out.array() == 5.0f).all());
}
