// Equal keys have equal scores, bit by bit, wherever they lie and whatever lies hidden beside them; of exact ties the lower
// index wins. By every way to score keys: in panels and one by one, screened and not, few queries and many, a cache,
// many heads, a grid.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <Eigen/SparseCore>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::AnyMask;
using test::difference;

namespace {

using Rows32 = RowMatrix<float>;
using Hidden = std::function<bool(Index key)>;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

/// Some keys are seen by nobody.
AnyMask hide(const Hidden& hidden) {
  return AnyMask{"some hidden", [](Index, const Extent& n) { return n.clip(0, n.keys); },
                 [hidden](Index, Index j, const Extent&) { return !hidden(j); }};
}

/// visit(name, out) for every way to regress: with the unit rows as values, out is the weights.
template <class K, class N>
void by_every_way(const NadarayaWatson<K, N, DotProduct, AnyMask>& op, const Rows32& q, const Rows32& k,
                  const std::function<void(const std::string&, const Rows32& weights)>& visit) {
  const Rows32 v = Rows32::Identity(k.rows(), k.rows());
  for (const Screening screening : {Screening::never, Screening::always}) {
    const std::string name = screening == Screening::never ? ", plain" : ", screened";
    const auto chosen = op.with(screening);
    for (const Index queries : {Index(1), Index(3), Index(4), q.rows()}) {
      const std::string many = std::to_string(queries) + " queries";
      visit(many + name, chosen(q.topRows(queries), k, v));
      KeyValueCache<float> cache(k.cols(), k.rows(), screening);
      cache.append(k, v);
      visit(many + name + ", cache", chosen(q.topRows(queries), cache));
    }
    const Attention heads(std::vector{chosen});
    Rows32 out(q.rows(), k.rows());
    using View = HeadView<const float>;
    // Two heads share the keys.
    const Index each = q.rows() / 2;
    heads(View::bhnd(q.data(), 1, 2, each, q.cols()), View::bhnd(k.data(), 1, 1, k.rows(), k.cols()),
          View::bhnd(v.data(), 1, 1, v.rows(), v.cols()), HeadView<float>::bhnd(out.data(), 1, 2, each, k.rows()));
    visit("shared heads" + name, out);
  }
}

/// What may lie in the hidden keys, and change quantized panels.
void with_every_neighbour(Rows32& keys, const Hidden& hidden, const std::function<void(const std::string&)>& visit) {
  const Rows32 clean = keys;
  visit("clean");
  for (const float bad : {not_a_number, infinity, 3e38f, 1e6f}) {
    for (Index j = 0; j < keys.rows(); ++j) {
      if (hidden(j)) keys.row(j).setConstant(bad);
    }
    visit("hidden " + std::to_string(bad));
  }
  keys = clean;
}

/// Copies of a few keys, in any order, and outliers among them.
struct Copies {
  static constexpr Index kinds = 23;
  Rows32 keys, queries;
  std::vector<Index> kind;

  Copies(Index n, Index cols) {
    test::Random random(11);
    const Rows32 of_kind = random.normal<float>(kinds, cols);
    keys.resize(n, cols);
    for (Index j = 0; j < n; ++j) {
      kind.push_back(random.below(kinds));
      keys.row(j) = of_kind.row(kind.back());
    }
    queries = random.normal<float>(100, cols, 2.0);
  }
};

}  // namespace

TEST_CASE("equal keys: the lower index is kept, in every panel and beside every neighbour", "[operator][screening][ties]") {
  for (const Index cols : test::sanitized ? std::vector<Index>{24} : std::vector<Index>{5, 24, 70}) {
    Copies in(300, cols);
    // In the second panel, and in the last, which is not full.
    const Hidden hidden = [](Index j) { return j == 70 || j == 299; };
    // Two outliers that are seen, in panels of their own, and that no query prefers to the others.
    for (const auto& [key, size] : {std::pair(200, 300.0f), std::pair(130, 1e7f)}) {
      in.kind[std::size_t(key)] = -1;
      in.keys.row(key).setZero();
      in.keys(key, 0) = size;
    }
    in.queries.col(0) = -in.queries.col(0).cwiseAbs();
    const auto check = [&](const auto& op, Index kept) {
      with_every_neighbour(in.keys, hidden, [&](const std::string& neighbours) {
        by_every_way(op, in.queries, in.keys, [&](const std::string& way, const Rows32& weights) {
          CAPTURE(cols, kept, neighbours, way);
          std::vector<long> wrong;
          for (Index i = 0; i < weights.rows(); ++i) {
            std::vector<char> left_out(Copies::kinds, 0);
            Index found = 0;
            for (Index j = 0; j < weights.cols(); ++j) {
              if (hidden(j)) continue;
              const bool has_weight = weights(i, j) > 0;
              found += has_weight ? 1 : 0;
              if (in.kind[std::size_t(j)] < 0) continue;
              char& earlier = left_out[std::size_t(in.kind[std::size_t(j)])];
              if (has_weight && earlier) wrong.push_back(j);
              if (!has_weight) earlier = 1;
            }
            if (found != kept) wrong.push_back(-found);
          }
          REQUIRE(wrong.empty());
        });
      });
    };
    check(NadarayaWatson(Uniform{}, NearestNeighbors{1}, DotProduct{}, hide(hidden)), 1);
    check(NadarayaWatson(Uniform{}, NearestNeighbors{40}, DotProduct{}, hide(hidden)), 40);
  }
}

TEST_CASE("equal keys have equal weights, in every panel and beside every neighbour", "[operator][screening][ties]") {
  Copies in(300, 24);
  const Hidden hidden = [](Index j) { return j == 70 || j == 299; };
  const NadarayaWatson op(Biweight{}, Adaptive{}, DotProduct{}, hide(hidden));
  with_every_neighbour(in.keys, hidden, [&](const std::string& neighbours) {
    by_every_way(op, in.queries, in.keys, [&](const std::string& way, const Rows32& weights) {
      CAPTURE(neighbours, way);
      std::vector<Index> first(Copies::kinds, -1);
      Index different = 0;
      for (Index j = 0; j < weights.cols(); ++j) {
        if (hidden(j)) continue;
        Index& of_kind = first[std::size_t(in.kind[std::size_t(j)])];
        if (of_kind < 0) of_kind = j;
        for (Index i = 0; i < weights.rows(); ++i) different += weights(i, j) == weights(i, of_kind) ? 0 : 1;
      }
      REQUIRE(different == 0);
    });
  });
}

TEST_CASE("scores that are equal as whole numbers are equal under any scale", "[operator][screening][ties]") {
  test::Random random(12);
  Rows32 k(200, 24), q(100, 24);
  for (float& x : k.reshaped()) x = static_cast<float>(random.below(7) - 3);
  for (float& x : q.reshaped()) x = static_cast<float>(random.below(7) - 3);
  const Hidden hidden = [](Index j) { return j % 67 == 3; };
  for (const double scale : {0.3, 1.0 / 7.0, 0.25, 3e3}) {
    const auto check = [&](const auto& op) {
      with_every_neighbour(k, hidden, [&](const std::string& neighbours) {
        Rows32 seen = k;
        for (Index j = 0; j < k.rows(); ++j) {
          if (hidden(j)) seen.row(j).setZero();
        }
        const RowMatrix<float> expected = reference::weights<float>(op, q, seen);
        by_every_way(op, q, k, [&](const std::string& way, const Rows32& weights) {
          CAPTURE(scale, neighbours, way);
          REQUIRE(difference(weights, expected.topRows(weights.rows()), 1e-6L) == "");
        });
      });
    };
    check(NadarayaWatson(Uniform{}, NearestNeighbors{5}, DotProduct{scale}, hide(hidden)));
  }
}

TEST_CASE("the scale is multiplied with the score, not with the query", "[operator][screening][ties]") {
  // q s is infinite, (q k) s is of size 1; and the other way round: what is lost is a zero, not NaN.
  for (const auto& [query, key, scale] : {std::tuple(1e25f, 2.5e-41f, 1e15), std::tuple(1e25f, 3e-38f, 1e13), std::tuple(1e30f, 1e-37f, 1.7e7)}) {
    const NadarayaWatson op(Biweight{}, Adaptive{}, DotProduct{scale}, hide([](Index j) { return j == 1; }));
    for (const Index queries : {1, 3, 8, 100}) {
      for (const Screening screening : {Screening::never, Screening::always}) {
        CAPTURE(query, key, scale, queries, screening == Screening::always);
        test::Random random(13);
        const Rows32 q = (random.normal<float>(queries, 2).array().abs() + 0.5f) * query;
        const Rows32 k = random.normal<float>(90, 2).cwiseMax(-2).cwiseMin(2) * key;
        const Rows32 v = random.normal<float>(90, 3);
        const RowMatrix<double> expected = reference::attend<double>(op, q, k, v);
        RowMatrix<float> out;
        const auto chosen = op.with(screening);
        const auto tape = chosen.forward(q, k, v, out);
        REQUIRE(difference(out, expected, 1e-4L) == "");
        // The gradient of the keys is of size q s, out of range where a key has one; of the hidden key it is zero.
        const auto grads = chosen.backward(tape, out);
        REQUIRE(grads.key.row(1).isZero(0));
        REQUIRE(grads.value.allFinite());
        REQUIRE(grads.query.allFinite());
      }
    }
  }
}

TEST_CASE("equal keys of a grid have equal weights beside NaN", "[operator][ties]") {
  test::Random random(14);
  RowMatrix<double> k = random.normal<double>(1200, 2), q = random.normal<double>(300, 2), v(1200, 2);
  k.bottomRows(600) = k.topRows(600);
  for (Index j = 0; j < 1200; ++j) v.row(j) << (j < 600 ? 1.0 : -1.0), 1.0;
  v.topRows(600).col(0).setLinSpaced(1.0, 2.0);
  v.bottomRows(600).col(0) = -v.topRows(600).col(0);
  const NadarayaWatson op(Biweight{}, FixedBandwidth{0.3}, SquaredDistance{}, hide([](Index j) { return j == 40 || j == 640; }));
  const RowMatrix<double> clean = op(q, k, v);
  k.row(40).setConstant(std::numeric_limits<double>::quiet_NaN());
  k.row(640).setConstant(std::numeric_limits<double>::infinity());
  REQUIRE(difference(op(q, k, v), clean, 0) == "");
  const RowMatrix<double> weights = op.weights(q, k);
  REQUIRE(weights.leftCols(600) == weights.rightCols(600));
  REQUIRE(clean.col(1).maxCoeff() > 0);
}
