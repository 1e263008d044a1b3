// A cache gives what its rows together give, however they came there.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

using namespace nadaraya;
using test::difference;

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

template <class Call>
std::string message(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was thrown";
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
