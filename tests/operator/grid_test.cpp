// Keys looked up by place change nothing: the operator with a grid against the same operator without,
// bit for bit, and against the oracle.
#include <nadaraya/engine/grid_lookup.hpp>
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>
#include <nadaraya/regression.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"

#include <Eigen/SparseCore>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace nadaraya;
using test::difference;
using test::Random;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Without the member that lets keys be looked up by place.
struct Everywhere : SquaredDistance {
  template <class Scalar>
  Scalar radius(const Scalar&, Index) const = delete;
};

/// Counts how many pairs are scored.
struct Counted : SquaredDistance {
  inline static std::atomic<long> scores{0};

  template <class Q, class K>
  ScalarOf<Q> score(const Q& q, const K& k) const {
    ++scores;
    return SquaredDistance::score(q, k);
  }
};

/// Any compact kernel, chosen at run time.
struct AnyKernel {
  static constexpr bool compact = true;
  int which = 0;

  template <class S>
  S profile(S t) const {
    switch (which) {
      case 0:
        return S(1);
      case 1:
        return t;
      case 2:
        return t * t;
      case 3:
        return t * t * t;
      case 4:
        return S(std::sqrt(t));
      default:
        return test::Custom{}.profile(t);
    }
  }
  template <class S>
  S derivative(S t) const {
    switch (which) {
      case 0:
        return S(0);
      case 1:
        return S(1);
      case 2:
        return S(2) * t;
      case 3:
        return S(3) * t * t;
      case 4:
        return S(0.5) / S(std::sqrt(t));
      default:
        return test::Custom{}.derivative(t);
    }
  }
};

template <class Scalar>
struct Case {
  RowMatrix<Scalar> q, k, v, g;
  double h = 1;
  double scale = 1;
  std::string name;
};

/// Points of many kinds in one to three dimensions, and a bandwidth.
template <class Scalar>
Case<Scalar> some_case(int trial, Random& random) {
  Case<Scalar> c;
  const Index dimension = 1 + trial % 3;
  const int kind = trial / 3 % 9;
  const Index keys = 1024 + random.below(200), queries = 256 + random.below(300);
  const double bandwidths[] = {0.02, 0.05, 0.1, 0.2, 0.3, 1e-6, 0.07, 0.03, 0.15, 30.0};
  c.h = bandwidths[trial / 5 % 10];
  c.scale = trial % 4 == 0 ? 2.3 : 1.0;
  c.name = std::to_string(trial) + ", " + std::to_string(dimension) + " dimensions, kind " + std::to_string(kind) +
           ", h = " + std::to_string(c.h);
  RowMatrix<Scalar> all = random.normal<Scalar>(keys + queries, dimension);
  const auto h = static_cast<Scalar>(c.h);
  switch (kind) {
    case 0:
      for (Scalar& x : all.reshaped()) x = static_cast<Scalar>(2 * random.uniform());
      break;
    case 1:  // clusters
      for (Index i = 0; i < all.rows(); ++i)
        all.row(i) = 0.2 * double(h) * all.row(i).array() + Scalar(random.below(6));
      break;
    case 2:  // distances of exactly h, and borders of cells of either sign
      all = (all / h).array().round() * h;
      break;
    case 3:  // each point thrice
      for (Index i = 0; i + 2 < all.rows(); i += 3) all.row(i + 1) = all.row(i + 2) = all.row(i).eval();
      break;
    case 4:  // outliers
      for (Index i = 0; i < all.rows(); i += 11) all(i, random.below(dimension)) *= Scalar(i % 2 == 0 ? 1e30 : 1e6);
      break;
    case 5:  // far from zero, where float is coarse
      all.array() += Scalar(1000);
      break;
    case 6:  // along a line
      for (Index d = 1; d < dimension; ++d) all.col(d) = Scalar(0.01) * all.col(d) + Scalar(d) * all.col(0);
      break;
    case 7:  // not finite here and there
      for (int n = 0; n < 6; ++n) {
        all(random.below(keys + queries), random.below(dimension)) = Scalar(n % 3 == 0   ? not_a_number
                                                                            : n % 3 == 1 ? infinity
                                                                                         : -infinity);
      }
      break;
    default:  // in order
      std::sort(all.data(), all.data() + all.size());
  }
  c.k = all.topRows(keys);
  c.q = all.bottomRows(queries);
  c.v = random.normal<Scalar>(keys, 1 + trial % 4);
  c.g = random.normal<Scalar>(queries, c.v.cols());
  return c;
}

/// The two forward and backward passes agree.
template <class Scalar, class K, class N, class M>
void check_case(const K& kernel, const N& normalization, const M& mask, const Case<Scalar>& c, bool threads) {
  const NadarayaWatson with(kernel, normalization, SquaredDistance{c.scale}, mask);
  const NadarayaWatson without(kernel, normalization, Everywhere{SquaredDistance{c.scale}}, mask);
  RowMatrix<Scalar> out, expected;
  const auto tape = with.forward(c.q, c.k, c.v, out);
  const auto expected_tape = without.forward(c.q, c.k, c.v, expected);
  REQUIRE(difference(out, expected, 0) == "");
  Index missed = 0, different = 0;
  for (Index i = 0; i < tape.queries(); ++i) {
    const auto keys = tape.support(i), expected_keys = expected_tape.support(i);
    const auto t = tape.coordinates(i), expected_t = expected_tape.coordinates(i);
    const auto same = [](Scalar a, Scalar b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    missed += !std::includes(keys.begin(), keys.end(), expected_keys.begin(), expected_keys.end());
    different += !std::equal(keys.begin(), keys.end(), expected_keys.begin(), expected_keys.end());
    different += !std::equal(t.begin(), t.end(), expected_t.begin(), expected_t.end(), same);
    different += tape.support_size(i) != expected_tape.support_size(i);
  }
  REQUIRE(missed == 0);
  REQUIRE(different == 0);
  REQUIRE(tape.empty_rows() == expected_tape.empty_rows());

  // Sums over queries are formed in another order.
  const auto grads = with.backward(tape, c.g), expected_grads = without.backward(expected_tape, c.g);
  const auto tolerance = 1000 * Eigen::NumTraits<Scalar>::epsilon();
  REQUIRE(difference(grads.query, expected_grads.query, 0) == "");
  const auto agree = [&](const RowMatrix<Scalar>& a, const RowMatrix<Scalar>& b) {
    const auto finite = b.unaryExpr([](Scalar x) { return std::isfinite(x) ? std::abs(x) : Scalar(0); });
    REQUIRE(difference(a, b, tolerance * finite.sum() / Scalar(1 + b.rows()), tolerance) == "");
  };
  agree(grads.key, expected_grads.key);
  agree(grads.value, expected_grads.value);
  if (threads) {
    for (const int count : {1, 2, 3, 4}) {
      RowMatrix<Scalar> other_out;
      const auto other = with.forward(c.q, c.k, c.v, other_out, Threads{count});
      REQUIRE(difference(other_out, out, 0) == "");
      REQUIRE(difference(with(c.q, c.k, c.v, Threads{count}), out, 0) == "");
      const auto other_grads = with.backward(other, c.g, Threads{count});
      REQUIRE(difference(other_grads.query, grads.query, 0) == "");
      REQUIRE(difference(other_grads.key, grads.key, 0) == "");
      REQUIRE(difference(other_grads.value, grads.value, 0) == "");
    }
    const auto weights = with.weights(c.q, c.k), expected_weights = without.weights(c.q, c.k);
    REQUIRE(weights.nonZeros() == expected_weights.nonZeros());
    REQUIRE(difference(RowMatrix<Scalar>(weights), RowMatrix<Scalar>(expected_weights), 0) == "");
  }
}

/// How many rows went through a grid.
template <class Scalar>
Index check_cases(int cases) {
  Random random(12);
  std::vector<test::AnyMask> masks;
  for (const auto& mask : test::masks()) {
    if (mask.name != "key lengths") masks.push_back(mask);
  }
  masks.push_back(test::any_mask("wide window", SlidingWindow{800}));
  masks.push_back(test::any_mask("most keys", KeyLengths{700}));
  Index rows = 0;
  for (int trial = 0; trial < cases; ++trial) {
    const auto c = some_case<Scalar>(trial, random);
    const test::AnyMask& mask = masks[static_cast<std::size_t>(trial / 2) % masks.size()];
    INFO(c.name << ", mask " << mask.name);
    const AnyKernel kernel{trial % 6};
    if (trial % 2 == 0) {
      check_case(kernel, FixedBandwidth{c.h}, mask, c, trial % 16 == 0);
    } else {
      check_case(kernel, Unnormalized{.bandwidth = c.h, .mass = 3.0}, mask, c, trial % 16 == 1);
    }
    const Scalar radius = SquaredDistance{c.scale}.radius(Scalar(-c.h * c.h), c.k.cols());
    const engine::View<Scalar> keys{c.k.data(), c.k.rows(), c.k.cols(), c.k.cols()};
    const engine::RowMaskOf<Scalar, test::AnyMask> row_mask(mask);
    if (engine::worth_a_grid(keys, radius, c.q.rows(), engine::mean_range(row_mask, Extent{c.q.rows(), c.k.rows()})))
      rows += c.q.rows();
  }
  return rows;
}

template <class Scalar>
Case<Scalar> in_the_plane(Index n, double h) {
  Random random(31);
  Case<Scalar> c;
  c.h = h;
  c.q.resize(n, 2), c.k.resize(n, 2);
  for (auto* x : {&c.q, &c.k}) {
    for (Scalar& value : x->reshaped()) value = static_cast<Scalar>(random.uniform());
  }
  c.v = random.normal<Scalar>(n, 2);
  c.g = random.normal<Scalar>(n, 2);
  return c;
}

}  // namespace

TEST_CASE("a grid misses no key: 100,000 random rows", "[operator][grid]") {
  const Index rows = check_cases<float>(210) + check_cases<double>(210);
  CAPTURE(rows);
  REQUIRE(rows >= 100000);
}

TEST_CASE("a grid agrees with the oracle", "[operator][grid]") {
  const auto c = in_the_plane<double>(1100, 0.1);
  const NadarayaWatson op{Epanechnikov{}, FixedBandwidth{c.h}, SquaredDistance{}, SlidingWindow{900}};
  REQUIRE(difference(op(c.q, c.k, c.v), reference::attend<long double>(op, c.q, c.k, c.v), 1e-13L) == "");
  check_case(Epanechnikov{}, FixedBandwidth{c.h}, NoMask{}, c, true);
}

TEST_CASE("most keys are never looked at", "[operator][grid]") {
  const auto c = in_the_plane<float>(3000, 0.05);
  Counted::scores = 0;
  const NadarayaWatson op{Triweight{}, FixedBandwidth{c.h}, Counted{}};
  RowMatrix<float> out;
  const auto tape = op.forward(c.q, c.k, c.v, out);
  const double support = tape.mean_support() * 3000;
  REQUIRE(support > 3000 * 15);
  REQUIRE(double(Counted::scores) <= 1.001 * support + 10);

  // A query that is not finite looks at every key, in a row of its own.
  auto odd = c;
  odd.q(100, 1) = std::numeric_limits<float>::infinity();
  Counted::scores = 0;
  op(odd.q, odd.k, odd.v);
  REQUIRE(double(Counted::scores) <= 1.001 * support + 3010);
}

TEST_CASE("heads of different bandwidths share a grid", "[operator][grid]") {
  const auto c = in_the_plane<float>(1100, 0.05);
  using Op = NadarayaWatson<Biweight, FixedBandwidth, SquaredDistance>;
  const std::vector<Op> ops{Op{Biweight{}, FixedBandwidth{0.05}, SquaredDistance{}},
                            Op{Biweight{}, FixedBandwidth{0.11}, SquaredDistance{4.0}}};
  const auto other = in_the_plane<float>(1100, 0.0);
  std::vector<float> q(2 * 1100 * 2), out(2 * 1100 * 2);
  std::copy_n(c.q.data(), 2200, q.begin());
  std::copy_n(other.q.data(), 2200, q.begin() + 2200);
  using In = HeadView<const float>;
  const Attention<Biweight, FixedBandwidth, SquaredDistance> heads(ops);
  heads(In::bhnd(q.data(), 1, 2, 1100, 2), In::bhnd(c.k.data(), 1, 1, 1100, 2), In::bhnd(c.v.data(), 1, 1, 1100, 2),
        HeadView<float>::bhnd(out.data(), 1, 2, 1100, 2));
  for (std::size_t h = 0; h < 2; ++h) {
    const Eigen::Map<const RowMatrix<float>> query(q.data() + h * 2200, 1100, 2),
        result(out.data() + h * 2200, 1100, 2);
    REQUIRE(difference(result, RowMatrix<float>(ops[h](query, c.k, c.v)), 0) == "");
  }
}

TEST_CASE("leaving one out goes through the grid", "[operator][grid][regression]") {
  const auto c = in_the_plane<double>(1200, 0.1);
  const double error = leave_one_out_error(Epanechnikov{}, c.h, c.k, c.v);
  const NadarayaWatson without{Epanechnikov{}, FixedBandwidth{c.h}, Everywhere{},
                               BooleanMask{[](Index i, Index j) { return i != j; }}};
  REQUIRE(error == (without(c.k, c.k, c.v) - c.v).squaredNorm() / 1200);
  const KernelRegression model(Epanechnikov{}, c.h, c.k, c.v);
  auto queries = c.q;
  queries.row(321).setConstant(50.0);
  const auto prediction = model.predict(queries);
  REQUIRE(prediction.empty_rows == std::vector<Index>{321});
}
