// A sharded operator on ranks of this process, and what all of them have together.
#pragma once

#include <nadaraya/nadaraya.hpp>
#include <nadaraya/sharded.hpp>
#include <nadaraya/sharded/counting.hpp>
#include <nadaraya/sharded/in_process.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace nadaraya::test {

using sharded::InProcessRank;
using sharded::Mixing;
using sharded::run_ranks;


template <class Scalar>
struct Inputs {
  RowMatrix<Scalar> q, k, v, g;

  Inputs(Index queries, Index keys, Index cols, Index value_cols, std::uint64_t seed) {
    Random random(seed);
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
inline Ends any_sharding(int ranks, Index rows, Random& random) {
  Ends ends;
  for (int r = 0; r + 1 < ranks; ++r) ends.push_back(random.below(rows + 1));
  ends.push_back(rows);
  std::sort(ends.begin(), ends.end());
  if (ranks > 2) ends[1] = ends[0];
  return ends;
}

/// The first row of a rank, and its rows.
inline Index begin_of(const Ends& ends, int rank) { return rank == 0 ? 0 : ends[std::size_t(rank) - 1]; }
template <class Scalar>
RowMatrix<Scalar> part(const RowMatrix<Scalar>& rows, const Ends& ends, int rank) {
  return rows.middleRows(begin_of(ends, rank), ends[std::size_t(rank)] - begin_of(ends, rank));
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
  if constexpr (requires { grads.ridge; }) to.push_back(grads.ridge);
}

/// What all ranks have together, with the queries sharded too if `query_ends` is not empty, each rank on an executor.
template <class Scalar, class Op, class E = Serial>
Results<Scalar> run_sharded(const Op& one, Mixing mixing, const Inputs<Scalar>& in, const Ends& ends, const Ends& query_ends,
                            const E& executor = {}) {
  Results<Scalar> all{RowMatrix<Scalar>(in.q.rows(), in.v.cols()), RowMatrix<Scalar>(in.q.rows(), in.q.cols()),
                      RowMatrix<Scalar>(in.k.rows(), in.k.cols()), RowMatrix<Scalar>(in.v.rows(), in.v.cols()), {}, {}};
  const auto op = sharded::Operator(one).with(mixing);
  run_ranks(int(ends.size()), [&](InProcessRank& ranks) {
    const int r = ranks.rank();
    const bool replicated = query_ends.empty();
    RowMatrix<Scalar> out;
    const sharded::Tape<Scalar> tape =
        replicated ? op.forward(ranks, in.q, part(in.k, ends, r), part(in.v, ends, r), out, executor)
                   : op.prefill(ranks, part(in.q, query_ends, r), part(in.k, ends, r), part(in.v, ends, r), out, executor);
    const auto grads = op.backward(ranks, tape, replicated ? in.g : part(in.g, query_ends, r), executor);
    all.key.middleRows(begin_of(ends, r), grads.key.rows()) = grads.key;
    all.value.middleRows(begin_of(ends, r), grads.value.rows()) = grads.value;
    // Replicated outputs are the same on all ranks: those of the last are looked at.
    if (!replicated || r + 1 == ranks.size()) {
      all.out.middleRows(tape.first_query(), out.rows()) = out;
      all.query.middleRows(tape.first_query(), out.rows()) = grads.query;
    }
    if (r != 0) return;
    note_parameters<Scalar>(grads, all.parameters);
    for (Index i = 0; i < tape.queries(); ++i) all.supports.push_back(tape.support_size(i));
  });
  return all;
}

template <class Scalar>
std::string largest_difference(const Results<Scalar>& a, const Results<Scalar>& b, long double tolerance) {
  return difference(a.out, b.out, tolerance) + difference(a.query, b.query, tolerance) + difference(a.key, b.key, tolerance) +
         difference(a.value, b.value, tolerance);
}

/// What one machine computes.
template <class Scalar, class Op>
Results<Scalar> run_on_one_machine(const Op& one, const Inputs<Scalar>& in) {
  Results<Scalar> all;
  const auto tape = one.forward(in.q, in.k, in.v, all.out);
  const auto grads = one.backward(tape, in.g);
  all.query = grads.query;
  all.key = grads.key;
  all.value = grads.value;
  note_parameters<Scalar>(grads, all.parameters);
  for (Index i = 0; i < in.q.rows(); ++i) all.supports.push_back(tape.support_size(i));
  return all;
}

/// All shardings give the bits of one machine.
template <class Scalar, class Op>
void check_bits_of_one_machine(const Op& one, Index queries, Index keys) {
  const Inputs<Scalar> in(queries, keys, 6, 5, 1);
  Random random(9);
  Results<Scalar> expected = run_on_one_machine(one, in);
  expected.parameters.clear();  // sums over all queries, which one machine adds block by block
  for (const int ranks : {1, 2, 3, 4, 8}) {
    INFO(ranks << " ranks, " << queries << " queries, " << keys << " keys");
    Results<Scalar> all = run_sharded(one, Mixing::gather_values, in, any_sharding(ranks, keys, random), any_sharding(ranks, queries, random));
    all.parameters.clear();
    REQUIRE(all == expected);
  }
}

/// One rank agrees with one machine, and all shardings with one rank.
template <class Scalar, class Op>
void check_shardings(const Op& one, long double tolerance, Index queries = 7, Index keys = 130) {
  const Inputs<Scalar> in(queries, keys, 6, 5, 1);
  Random random(9);
  const Results<Scalar> expected = run_on_one_machine(one, in);
  for (const Mixing mixing : {Mixing::gather_values, Mixing::sum_values}) {
    const auto on_one_rank = run_sharded(one, mixing, in, Ends{keys}, {});
    REQUIRE(largest_difference(on_one_rank, expected, tolerance) == "");
    for (std::size_t i = 0; i < expected.parameters.size(); ++i) {
      const auto error = std::abs(static_cast<long double>(expected.parameters[i]) - on_one_rank.parameters[i]);
      REQUIRE(!(error > 20 * tolerance * (1 + std::abs(expected.parameters[i]))));
    }
    REQUIRE(on_one_rank.supports == expected.supports);
    for (const int ranks : {2, 3, 4, 8}) {
      INFO(ranks << " ranks");
      const Ends ends = any_sharding(ranks, keys, random);
      REQUIRE(run_sharded(one, mixing, in, ends, {}) == on_one_rank);
      REQUIRE(run_sharded(one, mixing, in, ends, any_sharding(ranks, queries, random)) == on_one_rank);
    }
  }
}

/// Where values are wide enough that each rank solves and mixes rows of its own, results have the bits of one rank: for more
/// ranks than queries, and a query that sees a NaN. A mix takes a round more.
template <class Scalar, class Op>
void check_divided_rows(const Op& one, std::size_t rounds_of_mix = 0) {
  Inputs<Scalar> in(7, 90, 6, 3000, 1);
  in.q(4, 2) = std::numeric_limits<Scalar>::quiet_NaN();
  Random random(9);
  RowMatrix<Scalar> on_one_rank;
  for (const int ranks : {1, 2, 3, 4, 8}) {
    INFO(ranks << " ranks");
    const Ends ends = any_sharding(ranks, in.k.rows(), random);
    std::vector<RowMatrix<Scalar>> outs(static_cast<std::size_t>(ranks));
    std::size_t rounds = 0;
    run_ranks(ranks, [&](InProcessRank& raw) {
      sharded::CountingCommunicator counting(raw);
      const int r = raw.rank();
      outs[static_cast<std::size_t>(r)] = sharded::Operator(one)(counting, in.q, part(in.k, ends, r), part(in.v, ends, r));
      if (r == 0) rounds = counting.traffic().rounds;
    });
    if (ranks == 1) on_one_rank = outs[0];
    REQUIRE(rounds == (ranks == 1 ? 3 : 4) + rounds_of_mix);
    for (const auto& out : outs) REQUIRE(difference(out, on_one_rank, 0) == "");
  }
}

/// The same of both passes, with the queries sharded too or not; 961 queries are a batch that is divided and one that is not.
template <class Scalar, class Op>
void check_divided_passes(const Op& one) {
  Random random(9);
  for (const Index queries : {7, 961}) {
    const Inputs<Scalar> in(queries, 130, 6, queries == 7 ? 3000 : 64, 1);
    const auto on_one_rank = run_sharded(one, Mixing::gather_values, in, Ends{130}, {});
    for (const int ranks : {2, 3, 8}) {
      INFO(ranks << " ranks, " << queries << " queries");
      const Ends ends = any_sharding(ranks, 130, random);
      REQUIRE(run_sharded(one, Mixing::gather_values, in, ends, {}) == on_one_rank);
      REQUIRE(run_sharded(one, Mixing::gather_values, in, ends, any_sharding(ranks, queries, random)) == on_one_rank);
    }
  }
}

}  // namespace nadaraya::test
