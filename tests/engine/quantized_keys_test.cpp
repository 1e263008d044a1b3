// The certificate of screening: no key whose similarity exceeds the floor is missed, and what a list holds
// lies below the similarity, by no more than the slack of bounds. On random rows, and on rows made to use the
// bound up.
#include <nadaraya/loops/chosen.hpp>
#include <nadaraya/quantized/keys.hpp>
#include <nadaraya/quantized/queries.hpp>
#include <nadaraya/row/candidate_row.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

using namespace nadaraya;

namespace {

template <class T>
struct Operands {
  RowMatrix<T> queries, keys;
  T factor{1};  ///< of every product

  engine::View<T> key_view() const { return engine::View<T>{keys.data(), keys.rows(), keys.cols(), keys.cols()}; }
};

/// What screening made of some rows.
struct Outcome {
  long rows = 0;
  long missed = 0;          ///< keys above the floor that are not in the list
  long out_of_bounds = 0;   ///< entries that are not within [z - slack, z]
  long double used = 0;     ///< the largest part of the bound that an error was
  bool finds_used = true;   ///< is `used` wanted? It takes exact similarities
  long listed = 0;
  long hidden = 0;          ///< entries for keys that the query does not see
  long not_screened = 0;
  long rare = 0;            ///< rows screened after few had found a key
};

/// The similarities of a query with all keys, in the two orders of sums.
template <class T>
struct Similarities {
  std::vector<T> product, score;

  Similarities(const Operands<T>& in, Index i) : product(std::size_t(in.keys.rows())), score(product.size()) {
    std::vector<KeyIndex> all(product.size());
    std::iota(all.begin(), all.end(), 0);
    const Index keys = in.keys.rows(), cols = in.keys.cols();
    const T* query = in.queries.data() + i * cols;
    const auto& loops = engine::loops<T>();
    loops.scores(all.data(), keys, all.data(), in.keys.data(), cols, cols, query, score.data(), in.factor);
    loops.multiply(keys, cols, 1, in.keys.data(), cols, Index(1), query, Index(1), product.data(), Index(1));
    for (T& z : product) z *= in.factor;
  }
};

template <class T>
long double exact_similarity(const Operands<T>& in, Index i, Index j) {
  long double sum = 0;
  for (Index d = 0; d < in.keys.cols(); ++d) sum += static_cast<long double>(in.queries(i, d)) * static_cast<long double>(in.keys(j, d));
  return sum * static_cast<long double>(in.factor);
}

/// The floor of each query is just below the similarity of one of the keys, or each just below that of its nearest key.
/// Panels are screened twice.
template <class T>
void screen(const Operands<T>& in, test::Random& random, Outcome& outcome) {
  const Index queries = in.queries.rows(), keys = in.keys.rows();
  engine::QuantizedKeys<T> quantized(in.keys.cols());
  quantized.update(in.key_view(), 0);
  engine::QuantizedQueries<T> block;
  if (!block.prepare(in.queries.data(), queries, quantized, in.factor)) {
    outcome.not_screened += queries;
    return;
  }
  std::vector<T> floors(static_cast<std::size_t>(queries));
  std::vector<Similarities<T>> similarities;
  std::vector<CandidateRow<T>> rows(static_cast<std::size_t>(queries));
  const engine::TileConfig tiles(quantized.groups());
  const bool at_nearest = random.uniform() < 0.5;
  for (Index i = 0; i < queries; ++i) {
    const auto& z = similarities.emplace_back(in, i);
    const auto nearest = std::max_element(z.product.begin(), z.product.end()) - z.product.begin();
    const auto chosen = static_cast<std::size_t>(at_nearest ? nearest : random.below(keys));
    const T top = random.uniform() < 0.5 ? z.product[chosen] : z.score[chosen];
    floors[static_cast<std::size_t>(i)] = std::nextafter(top, -std::numeric_limits<T>::infinity());
    block.set_floor(i, floors[static_cast<std::size_t>(i)]);
  }
  for (Index panel = 0; panel < quantized.panels(); ++panel) {
    const Index first = panel * engine::panel_keys;
    const Index last = (std::min)(first + engine::panel_keys, keys);
    if (quantized.exact(panel)) {
      outcome.not_screened += queries;
      continue;
    }
    // A query in eight sees every third key only.
    const std::uint64_t there = ~std::uint64_t(0) >> (engine::panel_keys - (last - first));
    const auto seen_by = [&](Index i) { return i % 8 == 7 ? there & 0x9249249249249249u : there; };
    const auto visible = [&](Index i, Index j) { return j < last && (seen_by(i) >> (j - first) & 1) != 0; };
    Index found_before = queries;
    for (int time = 0; time < 2; ++time) {
      std::vector<engine::Candidates<T>> lists(static_cast<std::size_t>(queries));
      for (Index i = 0; i < queries; ++i) {
        auto& row = rows[static_cast<std::size_t>(i)];
        row.clear();
        row.reserve(static_cast<std::size_t>(engine::panel_keys));
        auto& list = lists[static_cast<std::size_t>(i)];
        list.z = row.value_data();
        list.key = row.key_data();
        list.visible = seen_by(i);
      }
      if (block.begin_panel(panel, queries)) block.screen(panel, queries, lists.data());
      if (time == 1 && 2 * found_before < queries) outcome.rare += queries;
      found_before = std::count_if(rows.begin(), rows.end(), [&](CandidateRow<T>& row) {
        return lists[static_cast<std::size_t>(&row - rows.data())].key != row.key_data();
      });
      for (Index i = 0; i < queries; ++i) {
        auto& row = rows[static_cast<std::size_t>(i)];
        row.resize(static_cast<std::size_t>(lists[static_cast<std::size_t>(i)].key - row.key_data()));
        outcome.listed += static_cast<long>(row.size());
        ++outcome.rows;
        const T floor = floors[static_cast<std::size_t>(i)], slack = block.bound_slack(i);
        const auto keys_of_row = row.keys();
        outcome.hidden += std::count_if(keys_of_row.begin(), keys_of_row.end(), [&](KeyIndex j) { return !visible(i, j); });
        for (Index j = first; j < last; ++j) {
          if (!visible(i, j)) continue;
          const T product = similarities[static_cast<std::size_t>(i)].product[static_cast<std::size_t>(j)];
          const T score = similarities[static_cast<std::size_t>(i)].score[static_cast<std::size_t>(j)];
          const auto found = std::lower_bound(keys_of_row.begin(), keys_of_row.end(), static_cast<KeyIndex>(j));
          if (found == keys_of_row.end() || *found != j) {
            outcome.missed += product > floor || score > floor ? 1 : 0;
            continue;
          }
          const T bound = row.values()[static_cast<std::size_t>(found - keys_of_row.begin())];
          for (const T value : {product, score}) outcome.out_of_bounds += bound <= value && value <= bound + slack ? 0 : 1;
          if (outcome.finds_used && slack > T(0)) {
            const long double half = static_cast<long double>(slack) / 2;
            outcome.used = (std::max)(outcome.used, std::abs(exact_similarity(in, i, j) - static_cast<long double>(bound) - half) / half);
          }
        }
      }
    }
  }
}

template <class T>
Operands<T> normal_rows(test::Random& random, Index queries, Index keys, Index cols, double query_scale, double key_scale) {
  return Operands<T>{random.normal<T>(queries, cols, query_scale), random.normal<T>(keys, cols, key_scale)};
}

/// The largest code of a key.
double largest_code(Index cols) { return engine::QuantizedKeys<float>(cols).largest_code(); }

/// Keys that lie between two whole numbers, on the side that a query looks at: q.r = |q||r|.
template <class T>
Operands<T> keys_between_steps(test::Random& random, Index queries, Index cols) {
  Operands<T> in{RowMatrix<T>(queries, cols), RowMatrix<T>(64, cols)};
  std::vector<double> sign(static_cast<std::size_t>(cols));
  for (double& s : sign) s = random.uniform() < 0.5 ? -1 : 1;
  for (Index i = 0; i < queries; ++i) {
    const double towards = i % 2 == 0 ? 1 : -1;
    for (Index d = 0; d < cols; ++d) in.queries(i, d) = static_cast<T>(towards * 0.37 * sign[static_cast<std::size_t>(d)]);
  }
  // Opposite keys: their centre is zero, or next to it. The step is 1, by a column of the largest code.
  const double most = largest_code(cols);
  for (Index j = 0; j < 32; ++j) {
    for (Index d = 0; d < cols; ++d) {
      const double whole = static_cast<double>(random.below(9)) - 4;
      in.keys(j, d) = static_cast<T>(d == 0 ? most : whole + 0.499 * sign[static_cast<std::size_t>(d)]);
    }
    in.keys.row(32 + j) = -in.keys.row(j);
  }
  return in;
}

/// Queries that lie between two whole numbers, in the direction of keys that miss nothing.
template <class T>
Operands<T> queries_between_steps(test::Random& random, Index queries, Index cols) {
  Operands<T> in = keys_between_steps<T>(random, queries, cols);
  const double most = largest_code(cols);
  for (Index j = 0; j < 32; ++j) {
    for (Index d = 0; d < cols; ++d) in.keys(j, d) = static_cast<T>(d % 3 == 0 ? -most : most);
    in.keys.row(32 + j) = -in.keys.row(j);
  }
  for (Index i = 0; i < queries; ++i) {
    for (Index d = 0; d < cols; ++d) {
      const double whole = static_cast<double>(random.below(9)) - 4;
      in.queries(i, d) = static_cast<T>(d == 0 ? -most : whole + (d % 3 == 0 ? -0.499 : 0.499));
    }
  }
  return in;
}

/// Screens keys for a number of queries; one of the two has lengths up to the ends of the range of the scalar.
template <class T>
void screen_all_sizes(Index queries) {
  test::Random random(5);
  const double smallest = static_cast<double>(std::numeric_limits<T>::denorm_min());
  for (const double scale : {smallest, 40 * smallest, 1e-30, 1e-20, 1e-13, 1e-7, 1e7, 1e13, 1e14, 1e16, 1e30}) {
    Outcome outcome;
    outcome.finds_used = false;
    for (const double other : {1e-20, 1.0, 1e10}) {
      for (const double factor : {1.0, 0.3, 1e4, 1e12, 1e-12, 1e-30}) {
        Operands<T> by_queries = normal_rows<T>(random, queries, 100, 24, scale, other);
        Operands<T> by_keys = normal_rows<T>(random, queries, 100, 24, other, scale);
        by_queries.factor = by_keys.factor = static_cast<T>(factor);
        screen(by_queries, random, outcome);
        screen(by_keys, random, outcome);
      }
    }
    CAPTURE(scale, outcome.rows, outcome.not_screened);
    REQUIRE(outcome.missed == 0);
    REQUIRE(outcome.out_of_bounds == 0);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("screening misses no key: 100,000 random rows", "[engine][quantized][sweep]", float, double) {
  using T = TestType;
  test::Random random(3);
  Outcome outcome;
  const int trials = test::sanitized ? 50 : 400;
  for (int trial = 0; trial < trials; ++trial) {
    const Index cols = 1 + random.below(trial % 8 == 0 ? 130 : 40);
    const Index keys = 1 + random.below(130);
    auto in = normal_rows<T>(random, 96, keys, cols, std::pow(10.0, 4 * random.uniform() - 2), std::pow(10.0, 4 * random.uniform() - 2));
    switch (trial % 8) {
      case 1:  // outlier channels
        in.queries.col(0) *= T(50);
        in.keys.col(cols / 2) *= T(100);
        break;
      case 2:  // nearly equal keys, far from zero
        in.keys *= T(1e-3);
        in.keys.rowwise() += random.normal<T>(1, cols, 30).row(0);
        break;
      case 3:  // equal keys
        in.keys.rowwise() = random.normal<T>(1, cols).row(0);
        break;
      case 4:  // few values: ties
        in.queries = in.queries.array().round();
        in.keys = in.keys.array().round();
        break;
      case 5:  // long keys among short ones
        for (Index j = 0; j < keys; j += 37) in.keys.row(j) *= T(1000);
        break;
      case 6:  // a row of zeros
        in.queries.row(0).setZero();
        in.keys.row(keys - 1).setZero();
        break;
      default:
        break;
    }
    if (trial % 2 == 1) in.factor = static_cast<T>(random.normal());
    screen(in, random, outcome);
  }
  CAPTURE(outcome.rows, outcome.listed, outcome.rare, static_cast<double>(outcome.used));
  REQUIRE(outcome.missed == 0);
  REQUIRE(outcome.out_of_bounds == 0);
  REQUIRE(outcome.hidden == 0);
  REQUIRE(outcome.used <= 1);
  REQUIRE(outcome.rows >= 125 * trials);
  REQUIRE(outcome.rare >= 4 * trials);
}

TEMPLATE_TEST_CASE("screening misses no key where its bound is used up", "[engine][quantized][sweep]", float, double) {
  using T = TestType;
  test::Random random(4);
  Outcome by_keys, by_queries;
  for (int trial = 0; trial < (test::sanitized ? 10 : 50); ++trial) {
    const Index cols = 16 + random.below(80);
    screen(keys_between_steps<T>(random, 96, cols), random, by_keys);
    screen(queries_between_steps<T>(random, 96, cols), random, by_queries);
  }
  for (const Outcome& outcome : {by_keys, by_queries}) {
    CAPTURE(outcome.rows, outcome.listed, static_cast<double>(outcome.used));
    REQUIRE(outcome.missed == 0);
    REQUIRE(outcome.out_of_bounds == 0);
    REQUIRE(outcome.used <= 1);
    // So that half the bound would not do.
    REQUIRE(outcome.used >= 0.9L);
  }
}

TEMPLATE_TEST_CASE("screening numbers at the ends of the range", "[engine][quantized][sweep]", float, double) {
  screen_all_sizes<TestType>(test::sanitized ? 24 : 96);
}

// As many as an emulated processor screens in some seconds.
TEMPLATE_TEST_CASE("a few queries screen numbers at the ends of the range", "[engine][quantized]", float, double) {
  screen_all_sizes<TestType>(5);
}

TEST_CASE("keys quantized step by step have the codes of all keys at once", "[engine][quantized]") {
  test::Random random(6);
  const RowMatrix<float> keys = random.normal<float>(300, 20);
  const auto view = [&](Index n) { return engine::View<float>{keys.data(), n, keys.cols(), keys.cols()}; };
  engine::QuantizedKeys<float> grown(keys.cols()), whole(keys.cols());
  Index before = 0;
  for (const Index n : {1, 5, 64, 65, 190, 256, 300}) {
    grown.update(view(n), before);
    before = n;
  }
  whole.update(view(300), 0);
  REQUIRE(grown.panels() == whole.panels());
  for (Index p = 0; p < whole.panels(); ++p) {
    REQUIRE(std::equal(whole.codes(p), whole.codes(p) + whole.groups() * 256, grown.codes(p)));
    REQUIRE(grown.errors(p).residual == whole.errors(p).residual);
    REQUIRE(grown.exact(p) == whole.exact(p));
  }
  // Shorter again, and along another way.
  grown.update(view(100), 100);
  whole.update(view(100), 0);
  REQUIRE(grown.keys() == 100);
  REQUIRE(std::equal(whole.codes(1), whole.codes(1) + whole.groups() * 256, grown.codes(1)));
}
