// The sharded operator: the same bits for any sharding, and the result of one machine up to rounding.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/reference.hpp>
#include <nadaraya/sharded.hpp>
#include <nadaraya/sharded/in_process.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;
using sharded::InProcessRank;
using sharded::Mixing;
using sharded::run_ranks;
using test::difference;

namespace {

template <class Scalar>
struct Inputs {
  RowMatrix<Scalar> q, k, v, g;

  Inputs(Index queries, Index keys, Index cols, Index value_cols, std::uint64_t seed) {
    test::Random random(seed);
    q = random.normal<Scalar>(queries, cols);
    k = random.normal<Scalar>(keys, cols);
    v = random.normal<Scalar>(keys, value_cols);
    g = random.normal<Scalar>(queries, value_cols);
    // Some equal keys, which tie.
    for (Index j = 5; j < keys; j += 11) k.row(j) = k.row(j - 5);
  }
};

/// Where the rows of each rank end.
using Ends = std::vector<Index>;

/// Parts of any size, some empty.
Ends any_sharding(int ranks, Index rows, test::Random& random) {
  Ends ends;
  for (int r = 0; r + 1 < ranks; ++r) ends.push_back(random.below(rows + 1));
  ends.push_back(rows);
  std::sort(ends.begin(), ends.end());
  if (ranks > 2) ends[1] = ends[0];
  return ends;
}

template <class M>
auto part(const M& rows, const Ends& ends, int rank) {
  const auto r = std::size_t(rank);
  const Index begin = r == 0 ? 0 : ends[r - 1];
  return rows.middleRows(begin, ends[r] - begin);
}

template <class Scalar>
struct Results {
  RowMatrix<Scalar> out, query, key, value;
  std::vector<Scalar> parameters;
  std::vector<Index> supports;

  bool operator==(const Results& other) const {
    return out == other.out && query == other.query && key == other.key && value == other.value &&
           parameters == other.parameters && supports == other.supports;
  }
};

template <class Scalar, class Grads>
void note_parameters(const Grads& grads, std::vector<Scalar>& to) {
  if constexpr (requires { grads.scale; }) to.push_back(grads.scale);
  if constexpr (requires { grads.bandwidth; }) to.push_back(grads.bandwidth);
  if constexpr (requires { grads.alpha; }) to.push_back(grads.alpha);
}

/// What all ranks have together, with the queries sharded too if `query_ends` is not empty.
template <class Scalar, class Op>
Results<Scalar> run_sharded(const Op& one, Mixing mixing, const Inputs<Scalar>& in, const Ends& ends, const Ends& query_ends) {
  Results<Scalar> all{RowMatrix<Scalar>(in.q.rows(), in.v.cols()), RowMatrix<Scalar>(in.q.rows(), in.q.cols()),
                      RowMatrix<Scalar>(in.k.rows(), in.k.cols()), RowMatrix<Scalar>(in.v.rows(), in.v.cols()), {}, {}};
  const auto op = sharded::Operator(one).with(mixing);
  run_ranks(int(ends.size()), [&](InProcessRank& ranks) {
    const int r = ranks.rank();
    RowMatrix<Scalar> out;
    const auto put = [](auto&& to, const auto& from) { to = from; };
    const auto finish = [&](const auto& tape, const auto& grads) {
      put(all.key.middleRows(r == 0 ? 0 : ends[std::size_t(r) - 1], grads.key.rows()), grads.key);
      put(all.value.middleRows(r == 0 ? 0 : ends[std::size_t(r) - 1], grads.value.rows()), grads.value);
      put(all.out.middleRows(tape.first_query(), out.rows()), out);
      put(all.query.middleRows(tape.first_query(), out.rows()), grads.query);
      if (r != 0) return;
      note_parameters<Scalar>(grads, all.parameters);
      for (Index i = 0; i < tape.queries(); ++i) all.supports.push_back(tape.support_size(i));
    };
    if (query_ends.empty()) {
      const auto tape = op.forward(ranks, in.q, part(in.k, ends, r), part(in.v, ends, r), out);
      // All ranks have the same: the last to write wins.
      const auto grads = op.backward(ranks, tape, in.g);
      if (r == 0) {
        finish(tape, grads);
      } else {
        put(all.key.middleRows(ends[std::size_t(r) - 1], grads.key.rows()), grads.key);
        put(all.value.middleRows(ends[std::size_t(r) - 1], grads.value.rows()), grads.value);
      }
    } else {
      const auto tape = op.prefill(ranks, part(in.q, query_ends, r), part(in.k, ends, r), part(in.v, ends, r), out);
      finish(tape, op.backward(ranks, tape, part(in.g, query_ends, r)));
    }
  });
  return all;
}

template <class Scalar>
std::string largest_difference(const Results<Scalar>& a, const Results<Scalar>& b, long double tolerance) {
  return difference(a.out, b.out, tolerance) + difference(a.query, b.query, tolerance) + difference(a.key, b.key, tolerance) +
         difference(a.value, b.value, tolerance);
}

/// One rank agrees with one machine, and all shardings with one rank.
template <class Scalar, class Op>
void check(const Op& one, long double tolerance, Index queries = 7, Index keys = 130) {
  const Inputs<Scalar> in(queries, keys, 6, 5, 1);
  test::Random random(9);
  Results<Scalar> expected;
  const auto tape = one.forward(in.q, in.k, in.v, expected.out);
  const auto grads = one.backward(tape, in.g);
  expected.query = grads.query;
  expected.key = grads.key;
  expected.value = grads.value;
  for (const Mixing mixing : {Mixing::gather_values, Mixing::sum_values}) {
    const auto on_one_rank = run_sharded(one, mixing, in, Ends{keys}, {});
    REQUIRE(largest_difference(on_one_rank, expected, tolerance) == "");
    std::vector<Scalar> parameters;
    note_parameters<Scalar>(grads, parameters);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto error = std::abs(static_cast<long double>(parameters[i]) - on_one_rank.parameters[i]);
      REQUIRE(!(error > 20 * tolerance * (1 + std::abs(parameters[i]))));
    }
    for (Index i = 0; i < queries; ++i) REQUIRE(on_one_rank.supports[std::size_t(i)] == tape.support_size(i));
    for (const int ranks : {2, 3, 4, 8}) {
      INFO(ranks << " ranks");
      const Ends ends = any_sharding(ranks, keys, random);
      REQUIRE(run_sharded(one, mixing, in, ends, {}) == on_one_rank);
      REQUIRE(run_sharded(one, mixing, in, ends, any_sharding(ranks, queries, random)) == on_one_rank);
    }
  }
}

constexpr long double in_double = 2e-13L;

template <class K>
void check_kernel(const K& kernel) {
  check<double>(NadarayaWatson{kernel, Anchored{1.5}}, in_double);
  check<double>(NadarayaWatson{kernel, FixedBandwidth{3.0}, SquaredDistance{}}, in_double);
  check<double>(NadarayaWatson{kernel, Unnormalized{3.0, 7.0}, SquaredDistance{}}, in_double);
  check<double>(NadarayaWatson{kernel, NearestNeighbors{9}, SquaredDistance{}}, in_double);
  if constexpr (AdaptiveKernel<K>) check<double>(NadarayaWatson{kernel, Adaptive{}}, in_double);
}

}  // namespace

TEST_CASE("any sharding gives the bits of one rank: Epanechnikov") { check_kernel(Epanechnikov{}); }
TEST_CASE("any sharding gives the bits of one rank: biweight") { check_kernel(Biweight{}); }
TEST_CASE("any sharding gives the bits of one rank: triweight") { check_kernel(Triweight{}); }
TEST_CASE("any sharding gives the bits of one rank: other exponents") {
  check_kernel(RectifiedPower::with_exponent(1.7));
  check<double>(NadarayaWatson{RectifiedPower::with_exponent(0.6), Adaptive{}}, 1e-11L);
}
TEST_CASE("any sharding gives the bits of one rank: Gaussian") { check_kernel(Gaussian{}); }
TEST_CASE("any sharding gives the bits of one rank: uniform") { check_kernel(Uniform{}); }

TEST_CASE("any sharding gives the bits of one rank: float") {
  constexpr long double in_float = 1e-5L;
  check<float>(NadarayaWatson{Biweight{}, Adaptive{}}, in_float);
  check<float>(NadarayaWatson{Triweight{}, Adaptive{}, DotProduct{5.0}}, 1e-4L, 100);
  check<float>(NadarayaWatson{Gaussian{}, Adaptive{}}, in_float, 100);
  check<float>(NadarayaWatson{Biweight{}, Adaptive{}, Cosine{9.0}}, in_float);
}

TEST_CASE("masks count positions among all keys") {
  check<double>(NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}, in_double, 40, 50);
  check<double>(NadarayaWatson{Gaussian{}, Adaptive{}, SlidingWindow{12}}, in_double, 40, 50);
  check<double>(NadarayaWatson{Biweight{}, Adaptive{}, KeyLengths{{0, 3, 20, 49, 50, 1, 8}}}, in_double, 7, 50);
  check<double>(NadarayaWatson{Biweight{}, Adaptive{}, BooleanMask{[](Index i, Index j) { return (i + j) % 3 == 0; }}}, in_double);
  check<double>(NadarayaWatson{Biweight{}, Adaptive{}, AdditiveBias{[](Index i, Index j) { return -0.05 * double(j) + double(i); }}}, in_double);
  check<double>(NadarayaWatson{Epanechnikov{}, FixedBandwidth{0.4}, SquaredDistance{}, StrictlyCausal{}}, in_double, 40, 50);
}

TEST_CASE("sizes of zero") {
  check<double>(NadarayaWatson{Biweight{}, Adaptive{}}, in_double, 0, 12);
  check<double>(NadarayaWatson{Biweight{}, Adaptive{}}, in_double, 3, 0);
  check<double>(NadarayaWatson{Gaussian{}, Adaptive{}}, in_double, 3, 0);
  check<double>(NadarayaWatson{Gaussian{}, Adaptive{}}, in_double, 0, 12);
}

TEST_CASE("a sharded operator agrees with the oracle") {
  const Inputs<double> in(7, 130, 6, 5, 4);
  const auto agrees = [&](const auto& one) {
    const auto out = run_sharded(one, Mixing::gather_values, in, Ends{30, 30, 129, 130}, {}).out;
    REQUIRE(difference(out, reference::attend<long double>(one, in.q, in.k, in.v), in_double) == "");
  };
  agrees(NadarayaWatson{Biweight{}, Adaptive{}});
  agrees(NadarayaWatson{Gaussian{}, Adaptive{}, Causal{}});
  agrees(NadarayaWatson{Epanechnikov{}, FixedBandwidth{3.0}, SquaredDistance{}});
}

// The algebra that the protocol rests on.
TEST_CASE("more keys never lower a threshold, and the support of all keys is that of their parts' supports") {
  const auto laws = [](const auto& one) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Inputs<double> in(3, 80, 6, 2, seed);
      const Index cut = Index(seed) * 4;
      RowMatrix<double> out;
      const auto whole = one.forward(in.q, in.k, in.v, out);
      const auto left = one.forward(in.q, in.k.topRows(cut), in.v.topRows(cut), out);
      const auto right = one.forward(in.q, in.k.bottomRows(80 - cut), in.v.bottomRows(80 - cut), out);
      for (Index i = 0; i < 3; ++i) {
        const double tau = whole.row(i).threshold();
        if (cut > 0) REQUIRE(!(left.row(i).threshold() > tau + 1e-12));
        REQUIRE(!(right.row(i).threshold() > tau + 1e-12));
        std::vector<KeyIndex> merged(left.support(i).begin(), left.support(i).end());
        for (const KeyIndex j : right.support(i)) merged.push_back(KeyIndex(j + cut));
        const auto keys = whole.support(i);
        REQUIRE(std::includes(merged.begin(), merged.end(), keys.begin(), keys.end()));
        RowMatrix<double> k(Index(merged.size()), in.k.cols());
        for (std::size_t j = 0; j < merged.size(); ++j) k.row(Index(j)) = in.k.row(merged[j]);
        const auto again = one.forward(in.q.row(i), k, k, out);
        std::vector<KeyIndex> solved;
        for (const KeyIndex j : again.support(0)) solved.push_back(merged[std::size_t(j)]);
        REQUIRE(std::equal(solved.begin(), solved.end(), keys.begin(), keys.end()));
      }
    }
  };
  laws(NadarayaWatson{Epanechnikov{}, Adaptive{}});
  laws(NadarayaWatson{Triweight{}, Adaptive{}});
}

TEST_CASE("scores that are hard to tell apart give the bits of one rank") {
  const NadarayaWatson one{Biweight{}, Adaptive{}};
  test::Random random(5);
  // Scores on a grid of the kind that floors are rounded to, all ties, and steps around the edge of the support.
  for (const double step : {0.0, 1.0 / 32, 1.0 / 1024, 1e-7}) {
    Inputs<float> in(4, 200, 1, 3, 8);
    for (Index j = 0; j < 200; ++j) in.k(j, 0) = float(step * double((j * 37) % 200));
    in.q << 1.0f, 2.0f, 1e3f, -1.0f;
    const auto on_one_rank = run_sharded(one, Mixing::gather_values, in, Ends{200}, {});
    for (const int ranks : {2, 5}) REQUIRE(run_sharded(one, Mixing::gather_values, in, any_sharding(ranks, 200, random), {}) == on_one_rank);
  }
}

TEST_CASE("NaN and infinity reach the rows that see them, on whatever rank they are") {
  const auto special = [](const auto& one) {
    Inputs<double> in(5, 60, 4, 3, 2);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    in.k(40, 1) = nan;
    in.v(7, 0) = nan;
    in.v(8, 1) = std::numeric_limits<double>::infinity();
    RowMatrix<double> expected;
    const auto tape = one.forward(in.q, in.k, in.v, expected);
    const auto grads = one.backward(tape, in.g);
    for (const int ranks : {1, 3}) {
      const auto all = run_sharded(one, Mixing::gather_values, in, ranks == 1 ? Ends{60} : Ends{10, 39, 60}, {});
      REQUIRE(difference(all.out, expected, in_double) == "");
      REQUIRE(difference(all.query, grads.query, in_double) == "");
      REQUIRE(difference(all.key, grads.key, in_double) == "");
      REQUIRE(difference(all.value, grads.value, in_double) == "");
    }
  };
  special(NadarayaWatson{Biweight{}, Adaptive{}, KeyLengths{{20, 40, 41, 60, 39}}});
  special(NadarayaWatson{Gaussian{}, Adaptive{}, KeyLengths{{7, 8, 41, 60, 5}}});
}

TEST_CASE("a cache over ranks decodes as keys that follow each other do") {
  const auto decode = [](const auto& one) {
    const Inputs<float> in(3, 90, 8, 4, 6);
    const auto expected = run_sharded(one, Mixing::gather_values, in, Ends{90}, {}).out;
    for (const int ranks : {1, 2, 3, 8}) {
      for (const Index page : {1, 4, 100}) {
        RowMatrix<float> out;
        Index most = 0, fewest = 90;
        run_ranks(ranks, [&](InProcessRank& rank) {
          sharded::KeyValueCache<float> cache(rank.rank(), ranks, 8, 4, page);
          for (Index j = 0; j < 90; j += 9) cache.append(in.k.middleRows(j, 9), in.v.middleRows(j, 9));
          const RowMatrix<float> mine = sharded::Operator(one)(rank, in.q, cache);
          if (rank.rank() == 0) out = mine;
          if (rank.rank() == 0) most = cache.local().rows();
          if (rank.rank() == ranks - 1) fewest = cache.local().rows();
        });
        REQUIRE(out == expected);
        REQUIRE(most - fewest <= page);
      }
    }
  };
  decode(NadarayaWatson{Biweight{}, Adaptive{}, Causal{}});
  decode(NadarayaWatson{Gaussian{}, Adaptive{}, SlidingWindow{50}});
}

TEST_CASE("what does not fit is refused on every rank with one message") {
  const Inputs<double> in(4, 20, 3, 2, 3);
  const sharded::Operator op(NadarayaWatson{Biweight{}, Adaptive{}});
  /// The messages of three ranks, which are the same.
  const auto refused = [&](const auto& call) {
    std::array<std::string, 3> messages;
    run_ranks(3, [&](InProcessRank& ranks) {
      try {
        call(ranks);
      } catch (const std::invalid_argument& error) {
        messages[std::size_t(ranks.rank())] = error.what();
      }
    });
    REQUIRE(messages[0] == messages[1]);
    REQUIRE(messages[0] == messages[2]);
    return messages[0];
  };
  const auto own = [&](InProcessRank& ranks, const auto& rows) { return rows.middleRows(5 * ranks.rank(), 5); };
  REQUIRE(refused([&](InProcessRank& r) { op(r, in.q, own(r, in.k), in.v.topRows(r.rank() == 1 ? 4 : 5)); }) ==
          "nadaraya::sharded::Operator::operator(): key and value must have the same number of rows, got [5 x 3] and [4 x 2]");
  REQUIRE(refused([&](InProcessRank& r) { op(r, in.q.topRows(r.rank() == 2 ? 3 : 4), own(r, in.k), own(r, in.v)); }) ==
          "nadaraya::sharded::Operator::operator(): all ranks must have the same queries, got 4 on rank 0 and 3 on rank 2");
  REQUIRE(refused([&](InProcessRank& r) { op(r, in.q, own(r, in.k), own(r, in.v).leftCols(r.rank() == 1 ? 1 : 2)); }) ==
          "nadaraya::sharded::Operator::operator(): ranks 0 and 1 have keys of 3 and 3 columns, and values of 2 and 1");
  const sharded::Operator wide(NadarayaWatson{Biweight{}, Adaptive{}, KeyLengths(21)});
  REQUIRE(refused([&](InProcessRank& r) { wide(r, in.q, own(r, in.k), own(r, in.v)); }) ==
          "nadaraya::KeyLengths: a length must lie between 0 and the 15 keys, got 21");
  const sharded::Operator bad(NadarayaWatson{Biweight{}, Anchored{-1.0}});
  REQUIRE_THAT(refused([&](InProcessRank& r) { bad(r, in.q, own(r, in.k), own(r, in.v)); }),
               catch_shim::contains("Anchored: bandwidth must be positive"));
  REQUIRE_THAT(refused([&](InProcessRank& r) {
                 RowMatrix<double> out;
                 const auto tape = op.forward(r, in.q, own(r, in.k), own(r, in.v), out);
                 op.backward(r, tape, r.rank() == 1 ? RowMatrix<double>(3, 2) : in.g);
               }),
               catch_shim::contains("grad_out must be [4 x 2] like the output, got [3 x 2]"));
  REQUIRE_THAT(refused([&](InProcessRank& r) {
                 RowMatrix<double> out;
                 if (r.rank() == 0) {
                   op.forward(r, in.q, own(r, in.k), own(r, in.v), out);
                 } else {
                   op(r, in.q, own(r, in.k), own(r, in.v));
                 }
               }),
               catch_shim::contains("ranks 0 and 1 call different functions"));
}
