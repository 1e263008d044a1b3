// The sharded operator: the same bits for any sharding, and the result of one machine up to rounding. Other rules are tested
// by tests/sharded_rules.
#include <nadaraya/reference.hpp>
#include <nadaraya/sharded/counting.hpp>
#include <nadaraya/sharded/measured_mixing.hpp>
#include <nadaraya/sharded/regression.hpp>

#include "tests/support/policies.hpp"
#include "tests/support/sharding.hpp"

#include <array>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;
using test::any_sharding;
using test::check_bits_of_one_machine;
using test::check_shardings;
using test::difference;
using test::Ends;
using test::InProcessRank;
using test::Inputs;
using test::Mixing;
using test::run_ranks;
using test::run_sharded;

namespace {

constexpr long double in_double = 2e-13L;

}  // namespace

TEST_CASE("any sharding gives the bits of one rank") {
  check_shardings<double>(NadarayaWatson{Biweight{}, Adaptive{}}, in_double);
  check_shardings<double>(NadarayaWatson{Epanechnikov{}, FixedBandwidth{3.0}, SquaredDistance{}}, in_double);
  check_shardings<double>(NadarayaWatson{Epanechnikov{}, NearestNeighbors{9}, SquaredDistance{}}, in_double);
  check_shardings<float>(NadarayaWatson{Triweight{}, Anchored{1.5}, Cosine{9.0}}, 1e-5L);
  check_shardings<float>(NadarayaWatson{Gaussian{}, Adaptive{}}, 1e-5L, 100);
}

// Their rows are solved from the same candidates on one machine, and similarities are summed in the same order.
TEST_CASE("fixed and nearest rows have the bits of one machine") {
  const auto check = [](const auto& one) {
    // Few queries are scored from the keys as they lie, more from panels of them.
    for (const Index queries : {3, 7, 100}) check_bits_of_one_machine<double>(one, queries, 130);
    check_bits_of_one_machine<double>(one, 40, 700);
  };
  check(NadarayaWatson{Epanechnikov{}, FixedBandwidth{1.5}, SquaredDistance{}});
  check(NadarayaWatson{Epanechnikov{}, NearestNeighbors{9}, SquaredDistance{}});
  check_bits_of_one_machine<float>(NadarayaWatson{Gaussian{}, NearestNeighbors{5}, DotProduct{}}, 100, 130);
}

TEST_CASE("masks count positions among all keys") {
  for (const test::AnyMask& mask : test::masks()) {
    INFO(mask.name);
    check_shardings<double>(NadarayaWatson{Biweight{}, Adaptive{}, mask}, in_double, 40, 50);
    check_shardings<double>(NadarayaWatson{Gaussian{}, Adaptive{}, mask}, in_double, 40, 50);
  }
  check_shardings<double>(NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}, in_double, 40, 50);
  for (const test::AnyBias& bias : test::biases()) check_shardings<double>(NadarayaWatson{Biweight{}, Adaptive{}, bias}, in_double);
}

TEST_CASE("sizes of zero") {
  for (const auto& [queries, keys] : {std::pair<Index, Index>{0, 12}, {3, 0}, {0, 0}}) {
    check_shardings<double>(NadarayaWatson{Biweight{}, Adaptive{}}, in_double, queries, keys);
    check_shardings<float>(NadarayaWatson{Gaussian{}, Adaptive{}}, in_double, queries, keys);
  }
}

TEST_CASE("a sharded operator agrees with the oracle") {
  const Inputs<double> in(7, 130, 6, 5, 4);
  const auto agrees = [&](const auto& one) {
    const auto out = run_sharded(one, Mixing::gather_values, in, Ends{30, 30, 129, 130}, {}).out;
    REQUIRE(difference(out, reference::attend<long double>(one, in.q, in.k, in.v), in_double) == "");
  };
  agrees(NadarayaWatson{Biweight{}, Adaptive{}});
  agrees(NadarayaWatson{Epanechnikov{}, FixedBandwidth{3.0}, SquaredDistance{}});
}

// The algebra that the protocol rests on.
TEST_CASE("more keys never lower a threshold, and the support of all keys is that of their parts' supports") {
  const auto laws = [](const auto& one) {
    const double width = one.kernel().width();
    RowMatrix<double> out;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Inputs<double> in(1, 80, 6, 2, seed);
      const Index cut = 1 + Index(seed) * 4;
      const auto threshold = [&](const RowMatrix<double>& keys) { return one.forward(in.q, keys, keys, out).row(0).threshold(); };
      const auto support = [&](const RowMatrix<double>& keys, double tau) {
        RowMatrix<double> kept(0, keys.cols());
        for (Index j = 0; j < keys.rows(); ++j) {
          if (!(keys.row(j).dot(in.q.row(0)) / width > tau)) continue;
          kept.conservativeResize(kept.rows() + 1, Eigen::NoChange);
          kept.row(kept.rows() - 1) = keys.row(j);
        }
        return kept;
      };
      const RowMatrix<double> left = in.k.topRows(cut), right = in.k.bottomRows(80 - cut);
      const double tau = threshold(in.k);
      REQUIRE(!(threshold(left) > tau + 1e-12));
      REQUIRE(!(threshold(right) > tau + 1e-12));
      RowMatrix<double> merged(0, 6);
      for (const auto* const keys : {&left, &right}) {
        const RowMatrix<double> kept = support(*keys, threshold(*keys));
        merged.conservativeResize(merged.rows() + kept.rows(), Eigen::NoChange);
        merged.bottomRows(kept.rows()) = kept;
      }
      const double of_merged = threshold(merged);
      REQUIRE(!(std::abs(of_merged - tau) > 1e-12));
      REQUIRE(difference(support(merged, of_merged), support(in.k, tau), 0) == "");
    }
  };
  laws(NadarayaWatson{Biweight{}, Adaptive{}});
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
  special(NadarayaWatson{Biweight{}, Adaptive{}, test::any_mask("lengths", KeyLengths{{20, 40, 41, 60, 39}})});
  special(NadarayaWatson{Gaussian{}, Adaptive{}, test::any_mask("lengths", KeyLengths{{7, 8, 41, 60, 5}})});
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
  decode(NadarayaWatson{Biweight{}, Adaptive{}, test::any_mask("causal", Causal{})});
  decode(NadarayaWatson{Gaussian{}, Adaptive{}, test::any_mask("window", SlidingWindow{50})});
}

TEST_CASE("a cache in 16 bits decodes as the numbers that it holds do") {
  const auto decode = [](const auto& one, Mixing mixing, auto stored) {
    using Stored = decltype(stored);
    const Inputs<float> in(3, 90, 8, 4, 6);
    const RowMatrix<float> keys = in.k.cast<Stored>().template cast<float>(), values = in.v.cast<Stored>().template cast<float>();
    run_ranks(3, [&](InProcessRank& rank) {
      sharded::KeyValueCache<Stored> narrow(rank.rank(), 3, 8, 4, 4);
      sharded::KeyValueCache<float> wide(rank.rank(), 3, 8, 4, 4);
      narrow.append(in.k, in.v);
      wide.append(keys, values);
      const auto op = sharded::Operator(one).with(mixing);
      const RowMatrix<float> got = op(rank, in.q, narrow), expected = op(rank, in.q, wide);
      if (rank.rank() == 0) REQUIRE(got == expected);
    });
  };
  for (const Mixing mixing : {Mixing::gather_values, Mixing::sum_values}) {
    decode(NadarayaWatson{Biweight{}, Adaptive{}}, mixing, Eigen::half());
    decode(NadarayaWatson{Epanechnikov{}, Adaptive{}}.with(LocalLinear{0.05}), mixing, Eigen::half());
    decode(NadarayaWatson{Biweight{}, Adaptive{}}, mixing, Eigen::bfloat16());
  }
  decode(NadarayaWatson{Gaussian{}, Adaptive{}}, Mixing::gather_values, Eigen::half());
}

TEST_CASE("sums of rows are those of their terms, whatever their order, and hold NaN where these do") {
  test::Random random(4);
  for (Index cols = 0; cols < 70; ++cols) {
    const Index keys = 37;
    RowMatrix<float> x = random.normal<float>(keys, cols);
    RowMatrix<float> p = random.normal<float>(1, keys);
    p(0, 5) = 0;
    if (cols > 3) x(5, 2) = std::numeric_limits<float>::quiet_NaN();  // without weight
    if (cols > 40) x(7, 3) = std::numeric_limits<float>::infinity();
    const sharded::SplitAddition addition(100.0, double(keys));
    std::vector<KeyIndex> order(std::size_t(keys), 0);
    for (Index j = 0; j < keys; ++j) order[std::size_t(j)] = KeyIndex((j * 5) % keys);
    std::vector<double> high(std::size_t(cols) + 1, 7.0), low(high), sum(std::size_t(cols), 0.0), rest(sum);
    std::fill_n(high.begin(), cols, 0.0);
    std::fill_n(low.begin(), cols, 0.0);
    std::vector<float> weights;
    for (const KeyIndex j : order) weights.push_back(p(0, j));
    engine::LineVector<float> widened;
    const engine::View<float> rows{x.data(), keys, cols, cols};
    sharded::add_weighted_rows<float>(addition, order, weights.data(), rows, widened, high.data(), low.data());
    for (Index d = 0; d < cols; ++d) {
      const auto c = std::size_t(d);
      for (Index j = 0; j < keys; ++j) {
        if (p(0, j) != 0) addition.add(double(p(0, j)) * double(x(j, d)), sum[c], rest[c]);
      }
      INFO(cols << " columns, " << d);
      REQUIRE(high[c] == sum[c]);
      REQUIRE(low[c] == rest[c]);
    }
    REQUIRE(high.back() == 7.0);
    REQUIRE(low.back() == 7.0);
  }
}

TEST_CASE("sums suffice at a fixed bandwidth where nothing is recorded") {
  const NadarayaWatson one{Epanechnikov{}, FixedBandwidth{1.5}, SquaredDistance{}};
  Inputs<double> in(7, 130, 6, 5, 1);
  in.q.row(3).setConstant(100);  // an empty row
  in.v(20, 1) = std::numeric_limits<double>::quiet_NaN();
  const RowMatrix<double> expected = one(in.q, in.k, in.v);
  test::Random random(9);
  RowMatrix<double> first;
  for (const int ranks : {1, 2, 3, 8}) {
    const Ends ends = any_sharding(ranks, 130, random);
    std::size_t sent = 0;
    RowMatrix<double> out;
    run_ranks(ranks, [&](InProcessRank& raw) {
      sharded::CountingCommunicator rank(raw);
      const auto op = sharded::Operator(one).with(Mixing::sum_values);
      const RowMatrix<double> mine = op(rank, in.q, test::part(in.k, ends, raw.rank()), test::part(in.v, ends, raw.rank()));
      if (raw.rank() != 0) return;
      out = mine;
      sent = rank.traffic().sent;
    });
    if (ranks == 1) first = out;
    REQUIRE(difference(out, expected, in_double) == "");
    REQUIRE(difference(out, first, 0) == "");
    REQUIRE(out.row(3).isZero(0));
    // The operands, a maximum and a status, two numbers for each sum.
    REQUIRE(sent < 200 + 8 * 8 + 16 * 7 * (5 + 2) + 8);
  }
}

TEST_CASE("a call takes as few rounds as its kernel and its operands allow") {
  const Inputs<float> in(20, 90, 8, 4, 6);
  const auto rounds = [&](const auto& call) {
    std::size_t of_call = 0;
    run_ranks(3, [&](InProcessRank& raw) {
      sharded::CountingCommunicator ranks(raw);
      call(ranks);
      if (raw.rank() == 0) of_call = ranks.traffic().rounds;
    });
    return of_call;
  };
  const auto cached = [&](const auto& op, Index queries) {
    return rounds([&](auto& ranks) {
      sharded::KeyValueCache<float> cache(ranks.rank(), 3, 8, 4);
      cache.append(in.k, in.v);
      op(ranks, in.q.topRows(queries), cache);
    });
  };
  const auto own = [](auto& ranks, const RowMatrix<float>& rows) { return test::part(rows, Ends{30, 30, 90}, ranks.rank()); };
  const sharded::Operator sparse(NadarayaWatson{Biweight{}, Adaptive{}});
  const sharded::Operator dense(NadarayaWatson{Gaussian{}, Adaptive{}});
  REQUIRE(cached(sparse, 1) == 2);
  REQUIRE(cached(sparse, 16) == 2);
  REQUIRE(cached(dense, 16) == 2);
  // The first message has no room for the floors of more queries.
  REQUIRE(cached(sparse, 17) == 3);
  REQUIRE(cached(sparse, 0) == 1);
  REQUIRE(cached(sparse.with(Mixing::sum_values), 1) == 3);
  // Where keys are has to be told first.
  REQUIRE(rounds([&](auto& ranks) { sparse(ranks, in.q, own(ranks, in.k), own(ranks, in.v)); }) == 3);
  REQUIRE(rounds([&](auto& ranks) { dense(ranks, in.q, own(ranks, in.k), own(ranks, in.v)); }) == 3);
  // A record takes memory, of which each rank may have too little.
  RowMatrix<float> outs[3];
  REQUIRE(rounds([&](auto& ranks) {
            sparse.forward(ranks, in.q, own(ranks, in.k), own(ranks, in.v), outs[ranks.rank()]);
          }) == 4);
  // Rows are divided where that saves bytes: a round more in either pass.
  const Inputs<float> wide(20, 90, 8, 3000, 6);
  std::array<sharded::Tape<float>, 3> tapes;
  REQUIRE(rounds([&](auto& ranks) {
            tapes[std::size_t(ranks.rank())] = sparse.forward(ranks, wide.q, own(ranks, wide.k), own(ranks, wide.v), outs[ranks.rank()]);
          }) == 5);
  REQUIRE(rounds([&](auto& ranks) { sparse.backward(ranks, tapes[std::size_t(ranks.rank())], wide.g); }) == 5);
}

TEST_CASE("rows that each rank solves its part of have the bits of one rank") {
  test::check_divided_passes<double>(NadarayaWatson{Biweight{}, Adaptive{}});
  test::check_divided_passes<double>(NadarayaWatson{Epanechnikov{}, FixedBandwidth{1.5}, SquaredDistance{}}.with(LocalLinear{0.05}));
  test::check_divided_rows<double>(NadarayaWatson{Biweight{}, Adaptive{}});
  test::check_divided_rows<float>(NadarayaWatson{Triweight{}, Anchored{1.5}, Cosine{9.0}});
}

// Three threads, whatever the work is worth.
struct ThreeThreads {
  template <class Fn>
  void parallel_for(Index n, const Fn& fn) const {
    Threads{3}.parallel_for(n, fn);
  }
  template <class Fn>
  void parallel_for(Index n, const Fn& fn, Cost) const {
    Threads{3}.parallel_for(n, fn);
  }
};

TEST_CASE("each rank may use several threads, for the same bits") {
  const auto check = [](const auto& one, Index value_cols) {
    const Inputs<double> in(100, 130, 6, value_cols, 1);
    const auto expected = run_sharded(one, Mixing::gather_values, in, Ends{130}, {});
    for (const Ends& ends : {Ends{130}, Ends{30, 30, 130}}) {
      REQUIRE(run_sharded(one, Mixing::gather_values, in, ends, {}, ThreeThreads{}) == expected);
    }
  };
  check(NadarayaWatson{Biweight{}, Adaptive{}}, 5);
  check(NadarayaWatson{Biweight{}, Adaptive{}}, 1000);  // divided
  check(NadarayaWatson{Epanechnikov{}, FixedBandwidth{1.5}, SquaredDistance{}}.with(LocalLinear{0.05}), 5);
  check(NadarayaWatson{Gaussian{}, Adaptive{}}, 5);
}

// Their type is not known, so that they do not travel: all ranks pull all rows back, however wide values are.
TEST_CASE("gradients of a similarity's own parameters are the same on all ranks") {
  const Inputs<double> in(200, 90, 3, 1000, 1);
  const NadarayaWatson one{Epanechnikov{}, FixedBandwidth{1.5}, DiagonalDistance(Eigen::RowVector3d(0.8, 1.0, 1.3))};
  RowMatrix<double> out;
  const auto expected = one.backward(one.forward(in.q, in.k, in.v, out), in.g);
  std::array<decltype(expected.similarity), 3> got;
  run_ranks(3, [&](InProcessRank& rank) {
    const auto own = [&](const RowMatrix<double>& rows) { return test::part(rows, Ends{30, 30, 90}, rank.rank()); };
    RowMatrix<double> mine;
    const sharded::Operator op(one);
    const auto tape = op.forward(rank, in.q, own(in.k), own(in.v), mine, ThreeThreads{});
    got[std::size_t(rank.rank())] = op.backward(rank, tape, in.g, ThreeThreads{}).similarity;
  });
  for (const auto& by_bandwidths : got) {
    REQUIRE(by_bandwidths == got[0]);
    REQUIRE(!((by_bandwidths - expected.similarity).cwiseAbs().maxCoeff() > 1e-12 * expected.similarity.cwiseAbs().maxCoeff()));
  }
}

TEST_CASE("ranks may use different numbers of threads") {
  const Inputs<float> in(60, 90, 8, 4, 6);
  const sharded::Operator op(NadarayaWatson{Biweight{}, Adaptive{}});
  run_ranks(2, [&](InProcessRank& rank) {
    sharded::KeyValueCache<float> cache(rank.rank(), 2, 8, 4, 64);
    cache.append(in.k, in.v);
    const RowMatrix<float> expected = op(rank, in.q, cache);
    const RowMatrix<float> out = rank.rank() == 0 ? op(rank, in.q, cache) : op(rank, in.q, cache, ThreeThreads{});
    if (rank.rank() == 0) REQUIRE(out == expected);
  });
}

TEST_CASE("several threads list parts of a rank's keys for few queries, for the same bits") {
  const auto check = [](const auto& one) {
    const Inputs<float> in(2, 20000, 8, 4, 6);
    run_ranks(2, [&](InProcessRank& rank) {
      sharded::KeyValueCache<float> cache(rank.rank(), 2, 8, 4, 64);
      cache.append(in.k, in.v);
      const auto op = sharded::Operator(one);
      const RowMatrix<float> expected = op(rank, in.q, cache);
      // On any executor, with memory that is kept from call to call or without.
      const Workspace<float, ThreeThreads> workspace;
      for (int call = 0; call < 2; ++call) {
        const RowMatrix<float> out = op(rank, in.q, cache, workspace);
        if (rank.rank() == 0) REQUIRE(out == expected);
      }
    });
  };
  check(NadarayaWatson{Biweight{}, Adaptive{}});
  check(NadarayaWatson{Biweight{}, Adaptive{}}.with(Screening::always));
  check(NadarayaWatson{Gaussian{}, Adaptive{}});
}

TEST_CASE("an executor that one rank cannot use is refused on every rank") {
  const Inputs<float> in(2, 20, 3, 2, 6);
  std::array<std::string, 3> messages;
  run_ranks(3, [&](InProcessRank& rank) {
    try {
      sharded::Operator(NadarayaWatson{Biweight{}, Adaptive{}})(rank, in.q, in.k, in.v, Threads{rank.rank() == 1 ? 0 : 1});
    } catch (const std::invalid_argument& error) {
      messages[std::size_t(rank.rank())] = error.what();
    }
  });
  for (const std::string& message : messages) REQUIRE(message == "nadaraya::Threads: count must be at least 1, got 0");
}

// On every rank the bits of one rank, which agrees with one machine: exactly if `tolerance` is 0 and values are gathered.
template <class Scalar, class Op>
void check_outputs(const Op& one, const Inputs<Scalar>& in, long double tolerance) {
  const RowMatrix<Scalar> expected = one(in.q, in.k, in.v);
  test::Random random(9);
  for (const Mixing mixing : {Mixing::gather_values, Mixing::sum_values}) {
    const auto op = sharded::Operator(one).with(mixing);
    RowMatrix<Scalar> on_one_rank;
    for (const int ranks : {1, 2, 3, 8}) {
      INFO(ranks << " ranks");
      const Ends ends = any_sharding(ranks, in.k.rows(), random);
      std::vector<RowMatrix<Scalar>> outs(std::size_t(ranks), expected);
      run_ranks(ranks, [&](InProcessRank& rank) {
        const int r = rank.rank();
        outs[std::size_t(r)] = op(rank, in.q, test::part(in.k, ends, r), test::part(in.v, ends, r));
      });
      if (ranks == 1) {
        on_one_rank = outs[0];
        REQUIRE(difference(on_one_rank, expected, mixing == Mixing::gather_values ? tolerance : in_double) == "");
      }
      for (const RowMatrix<Scalar>& out : outs) REQUIRE(difference(out, on_one_rank, 0) == "");
    }
  }
}

TEST_CASE("a plane is fitted to the keys of all ranks") {
  // Supports of more keys than columns and of fewer, and empty ones.
  const auto fixed = [](double bandwidth) { return NadarayaWatson{Epanechnikov{}, FixedBandwidth{bandwidth}, SquaredDistance{}}; };
  for (const Index keys : {0, 130}) check_outputs(fixed(2.0).with(LocalLinear{0.05}), Inputs<double>(100, keys, 6, 5, 1), 0);
  check_outputs(fixed(0.5).with(LocalPolynomial<2>{}), Inputs<double>(7, 130, 2, 5, 1), 0);
  check_outputs(NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}.with(LocalLinear{0.05}), Inputs<double>(100, 130, 6, 5, 1), in_double);
  // Cosine compares rows of unit length, and the plane is fitted to these.
  const auto nearest = NadarayaWatson{Gaussian{}, NearestNeighbors{9}, Cosine{9.0}}.with(LocalLinear{0.05});
  const Inputs<double> in(7, 130, 6, 5, 1);
  check_outputs(nearest, in, 0);
  run_ranks(3, [&](InProcessRank& rank) {
    sharded::KeyValueCache<double, Cosine> cache(rank.rank(), 3, 6, 5, 4);
    cache.append(in.k, in.v);
    const RowMatrix<double> out = sharded::Operator(nearest)(rank, in.q, cache);
    if (rank.rank() == 2) REQUIRE(out == nearest(in.q, in.k, in.v));
  });
  test::check_divided_rows<float>(NadarayaWatson{Epanechnikov{}, Adaptive{}}.with(LocalLinear{0.05}), 1);
}

TEST_CASE("a plane is pulled back to the keys of all ranks") {
  // Supports of more keys than columns and of fewer, and empty ones; queries of more than one batch.
  const auto fixed = NadarayaWatson{Epanechnikov{}, FixedBandwidth{1.5}, SquaredDistance{}}.with(LocalLinear{0.05});
  for (const Index queries : {7, 100, 1000}) check_bits_of_one_machine<double>(fixed, queries, 130);
  check_shardings<double>(fixed, in_double);
  // Cosine compares rows of unit length: gradients reach the keys through them.
  const auto nearest = NadarayaWatson{Gaussian{}, NearestNeighbors{9}, Cosine{9.0}}.with(LocalLinear{0.05});
  check_bits_of_one_machine<double>(nearest, 100, 130);
  const auto adaptive = NadarayaWatson{Biweight{}, Adaptive{}, Causal{}}.with(LocalLinear{0.05});
  for (const Index keys : {0, 130}) check_shardings<double>(adaptive, in_double, 100, keys);
}

TEST_CASE("a plane that sees a NaN has NaN gradients, on whatever rank its keys are") {
  Inputs<double> in(5, 60, 4, 3, 2);
  in.k(40, 1) = std::numeric_limits<double>::quiet_NaN();
  const auto one = NadarayaWatson{Biweight{}, Adaptive{}, test::any_mask("lengths", KeyLengths{{20, 40, 41, 60, 39}})}.with(LocalLinear{0.05});
  const auto expected = test::run_on_one_machine(one, in);
  for (const Ends& ends : {Ends{60}, Ends{10, 39, 60}}) {
    const auto all = run_sharded(one, Mixing::gather_values, in, ends, {});
    REQUIRE(test::largest_difference(all, expected, in_double) == "");
    for (const double by_parameter : all.parameters) REQUIRE(std::isnan(by_parameter));
  }
}

// LocalLinear that refuses rows where it is told to.
struct RefusingMix : LocalLinear {
  bool refuses = false;
  template <class Scalar>
  void correct(const WeightedKeys<Scalar>& support, std::span<Scalar> corrected, Scratch<Scalar>& fit) const {
    if (refuses) throw std::invalid_argument("refused");
    LocalLinear::correct(support, corrected, fit);
  }
};

TEST_CASE("what a mix throws on one rank, all ranks throw") {
  const Inputs<double> in(7, 20, 6, 5, 1);
  for (const Mixing mixing : {Mixing::gather_values, Mixing::sum_values}) {
    std::array<std::string, 3> messages;
    run_ranks(3, [&](InProcessRank& rank) {
      RefusingMix mix;
      mix.refuses = rank.rank() == 1;
      try {
        sharded::Operator(NadarayaWatson{Biweight{}, Adaptive{}}.with(mix)).with(mixing)(rank, in.q, in.k, in.v);
      } catch (const std::invalid_argument& error) {
        messages[std::size_t(rank.rank())] = error.what();
      }
    });
    for (const std::string& message : messages) REQUIRE(message == "refused");
  }
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
  const auto own = [&](InProcessRank& ranks, const RowMatrix<double>& rows) { return test::part(rows, Ends{5, 10, 15}, ranks.rank()); };
  REQUIRE(refused([&](InProcessRank& r) { op(r, in.q, own(r, in.k), RowMatrix<double>(in.v.topRows(r.rank() == 1 ? 4 : 5))); }) ==
          "nadaraya::sharded::Operator::operator(): key and value must have the same number of rows, got [5 x 3] and [4 x 2]");
  REQUIRE(refused([&](InProcessRank& r) { op(r, RowMatrix<double>(in.q.topRows(r.rank() == 2 ? 3 : 4)), own(r, in.k), own(r, in.v)); }) ==
          "nadaraya::sharded::Operator::operator(): all ranks must have the same queries, got 4 on rank 0 and 3 on rank 2");
  REQUIRE(refused([&](InProcessRank& r) { op(r, in.q, own(r, in.k), RowMatrix<double>(own(r, in.v).leftCols(r.rank() == 1 ? 1 : 2))); }) ==
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
  // Calls on caches, whose first message has the same length for any operands.
  const auto decode = [&](InProcessRank& r, Index queries, Index keys) {
    sharded::KeyValueCache<double> cache(r.rank(), 3, 3, 2);
    cache.append(in.k.topRows(keys), in.v.topRows(keys));
    op(r, in.q.topRows(queries), cache);
  };
  for (const Index queries : {0, 1}) {
    REQUIRE(refused([&](InProcessRank& r) { decode(r, r.rank() == 1 ? queries : 4, 20); }) ==
            "nadaraya::sharded::Operator::operator(): all ranks must have the same number of queries, got " +
                std::to_string(queries) + " to 4");
  }
  REQUIRE(refused([&](InProcessRank& r) { decode(r, 4, r.rank() == 2 ? 17 : 20); }) ==
          "nadaraya::sharded::Operator::operator(): all ranks must have the same number of rows of the cache, got 17 to 20");
  REQUIRE(refused([&](InProcessRank& r) {
            sharded::KeyValueCache<double> cache(r.rank(), r.rank() == 0 ? 4 : 3, 3, 2);
            op(r, in.q, cache);
          }) == "nadaraya::sharded::Operator::operator(): the cache was made for another rank or another number of ranks");
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

TEST_CASE("what a policy throws on one rank, all ranks throw") {
  const Inputs<double> in(100, 30, 4, 3, 3);
  const auto refused = [&](const auto& kernel) {
    int thrown = 0;
    run_ranks(3, [&](InProcessRank& r) {
      test::AnyMask mask = test::any_mask("causal", Causal{});
      if (r.rank() == 1) {
        mask.visibles = [](Index i, Index, const Extent&) -> bool { return i < 97 ? true : throw std::out_of_range("row 97"); };
      }
      const Ends ends{10, 20, 30};
      std::string message;
      try {
        sharded::Operator(NadarayaWatson{kernel, Adaptive{}, mask})(r, in.q, test::part(in.k, ends, r.rank()), test::part(in.v, ends, r.rank()));
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      double agreed = message == "nadaraya::sharded: rank 1: row 97" ? 1 : 0;
      r.all_reduce_sum(std::span(&agreed, 1));
      if (r.rank() == 0) thrown = int(agreed);
    });
    return thrown;
  };
  REQUIRE(refused(Biweight{}) == 3);
  REQUIRE(refused(Gaussian{}) == 3);
}

TEST_CASE("bandwidths are chosen, and values predicted, from data on all ranks") {
  test::Random random(7);
  const RowMatrix<double> x = random.normal<double>(60, 2), y = random.normal<double>(60, 3), queries = random.normal<double>(9, 2);
  const std::vector<double> bandwidths{0.05, 3.0, 1.5};
  const auto one = KernelRegression<Epanechnikov>::fit(Epanechnikov{}, x, y, bandwidths);
  const auto expected = one.predict(queries);
  std::vector<double> errors;
  for (const int ranks : {1, 2, 4}) {
    const Ends ends = any_sharding(ranks, 60, random);
    run_ranks(ranks, [&](InProcessRank& r) {
      const auto mine = test::part(x, ends, r.rank()), observed = test::part(y, ends, r.rank());
      const auto model = sharded::KernelRegression<Epanechnikov>::fit(r, Epanechnikov{}, mine, observed, bandwidths);
      const auto prediction = model.predict(r, queries);
      const auto error = [&](double h) { return sharded::leave_one_out_error(r, Epanechnikov{}, h, mine, observed); };
      const auto at = error(1.5), left = error(1.5 - 1e-6), right = error(1.5 + 1e-6);
      const auto infinite = error(0.05);
      if (r.rank() != 0) return;
      REQUIRE(model.bandwidth() == one.bandwidth());
      REQUIRE(difference(prediction.values, expected.values, in_double) == "");
      REQUIRE(prediction.empty_rows == expected.empty_rows);
      REQUIRE(prediction.mean_support == expected.mean_support);
      REQUIRE(!(std::abs(at.value - leave_one_out_error(Epanechnikov{}, 1.5, x, y)) > 1e-13));
      REQUIRE(!(std::abs(at.by_bandwidth - (right.value - left.value) / 2e-6) > 1e-7));
      REQUIRE(infinite.value == std::numeric_limits<double>::infinity());
      errors.push_back(at.value);
    });
  }
  REQUIRE(errors == std::vector<double>(3, errors[0]));
}

TEST_CASE("values are summed where that moves fewer bytes") {
  const Inputs<double> in(1, 100, 4, 8, 3);
  // Of sharp scores few values travel; of flat ones, all of them.
  for (const double scale : {50.0, 0.1}) {
    run_ranks(4, [&](InProcessRank& r) {
      const Ends ends{25, 50, 75, 100};
      const sharded::Operator op(NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{scale}});
      const auto mixing = sharded::measured_mixing(r, op, in.q, test::part(in.k, ends, r.rank()), test::part(in.v, ends, r.rank()));
      if (r.rank() == 0) REQUIRE(mixing == (scale == 50.0 ? Mixing::gather_values : Mixing::sum_values));
    });
  }
}
