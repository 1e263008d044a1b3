// A cache gives what its rows together give, however they came there.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/message.hpp"
#include "tests/support/random.hpp"

#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::difference;
using test::message;

namespace {

template <class Scalar>
struct Input {
  RowMatrix<Scalar> k, v, q;

  Input() {
    test::Random random(8);
    k = random.normal<Scalar>(1000, 20);
    v = random.normal<Scalar>(1000, 7);
    q = random.normal<Scalar>(40, 20, 2.0);
  }
};

/// Appends in pieces, forgets some again, and compares at every step, for few queries and many.
template <class Scalar, class Op, class S>
void check(const Op& op, KeyValueCache<Scalar, S> cache) {
  const Input<Scalar> in;
  const auto same = [&] {
    const Index n = cache.rows();
    for (const Index queries : {1, 3, 40}) {
      CAPTURE(n, queries);
      const RowMatrix<Scalar> q = in.q.topRows(queries);
      const RowMatrix<Scalar> expected = op.with(Screening::never)(q, in.k.topRows(n), in.v.topRows(n));
      REQUIRE(difference(op(q, cache), expected, 2000 * std::numeric_limits<Scalar>::epsilon()) == "");
      REQUIRE(difference(op(q, cache, Threads{2}), op(q, cache), 0) == "");
    }
  };
  same();
  for (const Index n : {1, 2, 63, 64, 65, 300, 1000}) {
    const Index more = n - cache.rows();
    cache.append(in.k.middleRows(cache.rows(), more), in.v.middleRows(cache.rows(), more));
    same();
  }
  KeyValueCache<Scalar, S> fork = cache;
  cache.truncate(130);
  same();
  cache.append(in.k.middleRows(130, 70), in.v.middleRows(130, 70));
  same();
  cache = fork;
  REQUIRE(cache.rows() == 1000);
  same();
}

}  // namespace

TEST_CASE("a cache is its rows, for every way to score them", "[cache]") {
  check(NadarayaWatson{Biweight{}}, KeyValueCache<float>(20, 7));
  check(NadarayaWatson{Biweight{}}.with(Screening::never), KeyValueCache<float>(20, 7));
  check(NadarayaWatson{Biweight{}}, KeyValueCache<double>(20, 7, Screening::always));
  check(NadarayaWatson{Gaussian{}}, KeyValueCache<float>(20, 7));
  check(NadarayaWatson(Epanechnikov{}, Adaptive{}, Cosine{9.0}), KeyValueCache<double, Cosine>(20, 7));
  check(NadarayaWatson(Triweight{}, FixedBandwidth{9.0}, SquaredDistance{}), KeyValueCache<double, SquaredDistance>(20, 7));
  check(NadarayaWatson(Biweight{}, Adaptive{}, DotProduct{}, SlidingWindow{77}), KeyValueCache<float>(20, 7));
}

TEST_CASE("NaN in a cache, and out of it again", "[cache]") {
  const Input<float> in;
  const NadarayaWatson op{Biweight{}};
  KeyValueCache<float> cache(20, 7);
  cache.append(in.k.topRows(100), in.v.topRows(100));
  const RowMatrix<float> before = op(in.q, cache);
  RowMatrix<float> bad_key = in.k.row(100), bad_value = in.v.row(100);
  bad_key(0, 3) = std::numeric_limits<float>::quiet_NaN();
  bad_value.setConstant(std::numeric_limits<float>::quiet_NaN());
  cache.append(bad_key, in.v.row(100));
  REQUIRE(op(in.q, cache).array().isNaN().all());
  cache.truncate(100);
  REQUIRE(difference(op(in.q, cache), before, 0) == "");
  cache.append(-100.0f * in.q.topRows(1), bad_value);
  REQUIRE(difference(op(in.q.topRows(1), cache), before.topRows(1), 1e-5L) == "");
}

TEST_CASE("heads with caches", "[cache]") {
  const Input<float> in;
  std::vector<KeyValueCache<float>> caches;
  for (const Index n : {100, 700, 0, 333}) {  // two sequences of two key heads
    caches.emplace_back(20, 7).append(in.k.topRows(n), in.v.topRows(n));
  }
  const Attention op{Biweight{}, Adaptive{}};
  RowMatrix<float> out(40, 7);
  const auto query = HeadView<const float>::bhnd(in.q.data(), 2, 4, 5, 20);
  op(query, std::span<const KeyValueCache<float>>(caches), HeadView<float>::bhnd(out.data(), 2, 4, 5, 7), Threads{2});
  for (Index i = 0; i < 8; ++i) {
    const RowMatrix<float> expected = op.head(0)(in.q.middleRows(5 * i, 5), caches[static_cast<std::size_t>(i / 2)]);
    REQUIRE(difference(out.middleRows(5 * i, 5), expected, 1e-6L) == "");
  }
}

TEST_CASE("a cache takes its own rows", "[cache][lifetimes]") {
  const Input<float> in;
  const auto k = in.k.leftCols(7).eval();
  for (const Index room : {0, 100}) {
    KeyValueCache<float> cache(7, 7);
    cache.reserve(room);
    cache.append(k.topRows(10), in.v.topRows(10));
    RowMatrix<float> keys = k.topRows(10), values = in.v.topRows(10);
    const auto append = [&](const auto& key, const auto& value) {
      RowMatrix<float> more_keys(keys.rows() + key.rows(), 7), more_values(keys.rows() + key.rows(), 7);
      more_keys << keys, key;
      more_values << values, value;
      keys = more_keys;
      values = more_values;
      cache.append(key, value);
      REQUIRE(difference(cache.keys(), keys, 0) == "");
      REQUIRE(difference(cache.values(), values, 0) == "");
    };
    append(cache.keys(), cache.values());
    append(cache.keys(), in.v.topRows(20));
    append(cache.keys().middleRows(3, 5), cache.values().topRows(5));
    append(2.0f * cache.keys().topRows(2), cache.keys().topRows(2));
    append(cache.values(), cache.keys());
    append(Eigen::Ref<const Eigen::MatrixXf>(cache.keys()), cache.values());
    // Rows that it has forgotten, and writes to.
    const auto old_keys = cache.keys();
    const auto old_values = cache.values();
    cache.truncate(20);
    const RowMatrix<float> expected = old_keys.middleRows(18, 4);
    cache.append(old_keys.middleRows(18, 4), old_values.middleRows(18, 4));
    REQUIRE(difference(cache.keys().bottomRows(4), expected, 0) == "");
  }
}

TEST_CASE("a cache that has been moved from is empty and may be used", "[cache][lifetimes]") {
  const Input<float> in;
  const NadarayaWatson op{Biweight{}};
  const RowMatrix<float> q = in.q.topRows(3);
  KeyValueCache<float> cache(20, 7);
  cache.append(in.k.topRows(70), in.v.topRows(70));
  const RowMatrix<float> expected = op(q, cache);
  const RowMatrix<float> nothing = RowMatrix<float>::Zero(3, 7);
  KeyValueCache<float> taken(std::move(cache));
  REQUIRE(difference(op(q, taken), expected, 0) == "");
  // NOLINTBEGIN(bugprone-use-after-move)
  REQUIRE(cache.rows() == 0);
  REQUIRE(cache.keys().rows() == 0);
  REQUIRE(difference(op(q, cache), nothing, 0) == "");
  const KeyValueCache<float> copy = cache;
  REQUIRE(difference(op(q, copy), nothing, 0) == "");
  KeyValueCache<float> moved_again(std::move(cache));
  REQUIRE(difference(op(q, moved_again), nothing, 0) == "");
  cache.truncate(0);
  cache.reserve(3);
  std::vector<KeyValueCache<float>> both{cache, taken};
  RowMatrix<float> out = RowMatrix<float>::Constant(6, 7, 5.0f);
  Attention{Biweight{}}(HeadView<const float>::bhnd(in.q.data(), 1, 2, 3, 20), std::span<const KeyValueCache<float>>(both),
                        HeadView<float>::bhnd(out.data(), 1, 2, 3, 7));
  REQUIRE(difference(out.topRows(3), nothing, 0) == "");
  cache.append(in.k.topRows(70), in.v.topRows(70));
  REQUIRE(difference(op(q, cache), expected, 0) == "");
  moved_again = std::move(cache);
  cache = taken;
  REQUIRE(difference(op(q, cache), expected, 0) == "");
  KeyValueCache<float>& same = cache;
  cache = same;
  cache = std::move(same);
  REQUIRE(difference(op(q, cache), expected, 0) == "");
  // NOLINTEND(bugprone-use-after-move)
}

namespace {

/// Fails every allocation that appending and reserving make, one after the other.
template <class Scalar, class Op, class S>
void check_failures(const Op& op, const KeyValueCache<Scalar, S>& empty, bool finite) {
  const Input<Scalar> in;
  const RowMatrix<Scalar> q = in.q.topRows(3), k = in.k.topRows(200);
  RowMatrix<Scalar> v = in.v.topRows(200);
  if (!finite) v(90, 1) = v(150, 2) = std::numeric_limits<Scalar>::infinity();
  for (const Index rows : {0, 100}) {
    KeyValueCache<Scalar, S> cache = empty;
    cache.append(k.topRows(rows), v.topRows(rows));
    const KeyValueCache<Scalar, S> before = cache;
    KeyValueCache<Scalar, S> after = cache;
    after.append(k.bottomRows(200 - rows), v.bottomRows(200 - rows));
    const RowMatrix<Scalar> out_before = op(q, before), out_after = op(q, after);
    long failures = 0;
    const auto fails = [&](const auto& work) {
      const bool failed = test::fails_at(failures, work);
      failures += failed ? 1 : 0;
      if (failed) {
        REQUIRE(cache.rows() == rows);
        REQUIRE(cache.keys() == before.keys());
        REQUIRE(difference(op(q, cache), out_before, 0) == "");
      }
      return failed;
    };
    KeyValueCache<Scalar, S> other = before;
    while (fails([&] { cache.append(k.bottomRows(200 - rows), v.bottomRows(200 - rows)); })) {
    }
    REQUIRE(failures >= 2);
    REQUIRE(difference(op(q, cache), out_after, 0) == "");
    cache = before;
    failures = 0;
    while (fails([&] { cache.reserve(200); })) {
    }
    REQUIRE(failures >= 2);
    cache.append(k.bottomRows(200 - rows), v.bottomRows(200 - rows));
    REQUIRE(difference(op(q, cache), out_after, 0) == "");
    failures = 0;
    while (test::fails_at(failures, [&] { other = after; })) {
      ++failures;
      REQUIRE(difference(op(q, other), out_before, 0) == "");
    }
    REQUIRE(difference(op(q, other), out_after, 0) == "");
  }
}

}  // namespace

TEST_CASE("a cache is unchanged where memory runs out", "[cache][errors]") {
  for (const bool finite : {true, false}) {
    check_failures(NadarayaWatson{Biweight{}}, KeyValueCache<float>(20, 7, Screening::always), finite);
    check_failures(NadarayaWatson(Epanechnikov{}, Adaptive{}, Cosine{9.0}), KeyValueCache<double, Cosine>(20, 7), finite);
  }
}

TEST_CASE("errors of a cache name what is wrong and change nothing", "[cache]") {
  const Input<float> in;
  KeyValueCache<float> cache(20, 7);
  cache.append(in.k.topRows(5), in.v.topRows(5));
  REQUIRE(message([&] { cache.append(in.k.topRows(2), in.v.topRows(3)); }).find("KeyValueCache::append: key and value must be [n x 20] and [n x 7], got [2 x 20] and [3 x 7]") != std::string::npos);
  REQUIRE(message([&] { cache.append(in.v.topRows(2), in.v.topRows(2)); }).find("KeyValueCache::append") != std::string::npos);
  REQUIRE(message([&] { cache.truncate(6); }).find("KeyValueCache::truncate: rows must lie between 0 and 5, got 6") != std::string::npos);
  REQUIRE(message([&] { cache.truncate(-1); }).find("KeyValueCache::truncate") != std::string::npos);
  REQUIRE(message([] { KeyValueCache<float>(-1, 2); }).find("KeyValueCache: columns must not be negative") != std::string::npos);
  REQUIRE(message([&] { NadarayaWatson{Biweight{}}(in.v, cache); }).find("NadarayaWatson::operator(): query and key must have the same number of columns") != std::string::npos);
  std::vector<KeyValueCache<float>> three(3, cache);
  RowMatrix<float> out(40, 7);
  const auto query = HeadView<const float>::bhnd(in.q.data(), 2, 4, 5, 20);
  const auto view = HeadView<float>::bhnd(out.data(), 2, 4, 5, 7);
  REQUIRE(message([&] { Attention{Biweight{}}(query, std::span<const KeyValueCache<float>>(three), view); }).find("Attention::operator(): need caches for a number of key heads that divides 4 in each of 2 sequences, got 3") != std::string::npos);
  REQUIRE(cache.rows() == 5);
}
