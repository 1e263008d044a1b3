#include "decode.hpp"

#include "decoder.hpp"
#include "job.hpp"
#include "measure.hpp"
#include "progress.hpp"

#include "../support/usage.hpp"

#include <nadaraya/sharded/mpi.hpp>

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace program {
namespace {

using nadaraya::RowMatrix;

/// Rank `rank` of `size` ranks' part of the tokens.
Cache filled(const Options& o, int rank, int size) {
  constexpr Index at_a_time = 1 << 15;
  Cache cache = make_cache(o, rank, size);
  Progress progress("tokens", *o.tokens);
  for (Index first = 0; first < *o.tokens; first += at_a_time) {
    append(cache, o, first, (std::min)(at_a_time, *o.tokens - first));
    progress.show(first);
  }
  return cache;
}

/// What a round, and the work before it, is for.
const char* purpose(const Measured& measured, std::size_t round) {
  const auto is_maximum = [&](std::size_t r) { return r < measured.rounds.size() && measured.rounds[r].function == "all_reduce_max"; };
  const std::string& function = measured.rounds[round].function;
  const bool after_exchange = round > 0 && measured.rounds[round - 1].function == "all_to_all";
  if (function == "all_gather" && after_exchange) return "solved outputs";
  if (!is_maximum(round)) return function == "all_reduce_sum" ? "sums of values" : "candidates";
  if (round == 0 && is_maximum(1)) return "operands";
  return round + 1 == measured.rounds.size() ? "agreement" : "scores and floor";
}

void print_stages(const Measured& measured) {
  char line[128];
  std::snprintf(line, sizeof line, "  %-18s %12s %14s %12s %12s\n", "round", "computed, ms", "exchanged, ms", "bytes sent", "received");
  std::cout << line;
  for (std::size_t r = 0; r < measured.rounds.size(); ++r) {
    std::snprintf(line, sizeof line, "  %-18s %12.3f %14.3f %12.0f %12.0f\n", purpose(measured, r), 1e3 * measured.before[r],
                  1e3 * measured.exchange[r], measured.rounds[r].sent, measured.rounds[r].received);
    std::cout << line;
  }
  const bool divided = std::any_of(measured.rounds.begin(), measured.rounds.end(),
                                   [](const Round& round) { return round.function == "all_to_all"; });
  std::snprintf(line, sizeof line, "  %-18s %12.3f\n  %-18s %12.3f %14zu rounds %18.0f\n", divided ? "copy outputs" : "solve and mix", 1e3 * measured.before.back(),
                "in all", 1e3 * measured.seconds, measured.rounds.size(), received(measured.rounds));
  std::cout << line << std::flush;
}

/// How many of the first calls have the bits that one rank with all keys gives; rank 0 computes them.
Index same_as_one_rank(Ranks& ranks, const Options& o, const Decode& decode, const Cache& cache) {
  const Index sample = (std::min)(o.check, o.calls);
  Recorder all(ranks);
  std::vector<RowMatrix<float>> sharded;
  for (Index i = 0; i < sample; ++i) sharded.push_back(decode(all, query(o, i), cache));
  Index same = 0;
  agree(ranks, [&] {
    if (ranks.rank() != 0 || sample == 0) return;
    Ranks alone(MPI_COMM_SELF);
    Recorder one(alone);
    const Cache whole = filled(o, 0, 1);
    for (Index i = 0; i < sample; ++i) {
      const RowMatrix<float> expected = decode(one, query(o, i), whole);
      const RowMatrix<float>& got = sharded[static_cast<std::size_t>(i)];
      same += std::memcmp(expected.data(), got.data(), static_cast<std::size_t>(got.size()) * sizeof(float)) == 0 ? 1 : 0;
    }
  });
  return same;
}

}  // namespace

void run_decode(Ranks& ranks, const Options& o) {
  Decode decode;
  std::optional<Cache> cache;
  agree(ranks, [&] {
    decode = make_decode(o);
    cache.emplace(filled(o, ranks.rank(), ranks.size()));
  });
  Recorder recorder(ranks);
  const Measured measured = measure(recorder, o, decode, *cache);
  std::cout << *o.tokens << " keys of " << o.dim << " and values of " << o.value_dim << " float32 over " << ranks.size()
            << (ranks.size() == 1 ? " rank, " : " ranks, ") << o.op.kernel << ", " << o.calls
            << " calls one after the other.\nA call, of " << unit(o) << ": median times of the slowest rank, mean bytes of a rank\n";
  print_stages(measured);
  const Index sample = (std::min)(o.check, o.calls), same = same_as_one_rank(ranks, o, decode, *cache);
  agree(ranks, [&] {
    if (ranks.rank() == 0 && same != sample) {
      refuse("only " + std::to_string(same) + " of " + std::to_string(sample) + " calls have the bits that one rank gives");
    }
  });
  if (sample > 0) std::cout << "checked: " << sample << " calls give the same bits as on one rank\n";
}

void run_weak_scaling(Ranks& ranks, const Options& o) {
  Decode decode;
  agree(ranks, [&] { decode = make_decode(o); });
  std::cout << *o.tokens << " keys on every rank, " << o.op.kernel << ", " << o.calls << " calls of " << unit(o)
            << " one after the other\n ranks    a call, ms   efficiency   bytes received   rounds\n";
  double one_rank = 0;
  for (int size = 1;; size = (std::min)(2 * size, ranks.size())) {
    std::optional<Measured> measured;
    Group group(ranks, size);
    // The others wait.
    agree(ranks, [&] {
      if (group.ranks() == nullptr) return;
      Options all = o;
      all.tokens = *o.tokens * size;
      std::optional<Cache> cache;
      agree(*group.ranks(), [&] { cache.emplace(filled(all, ranks.rank(), size)); });
      Recorder recorder(*group.ranks());
      measured = measure(recorder, all, decode, *cache);
    });
    // Rank 0 belongs to every group.
    if (measured && size == 1) one_rank = measured->seconds;
    char line[128] = "";
    if (measured) std::snprintf(line, sizeof line, "%6d   %11.3f   %10.2f   %14.0f   %6zu\n", size, 1e3 * measured->seconds,
                  one_rank / measured->seconds, received(measured->rounds), measured->rounds.size());
    std::cout << line << std::flush;
    if (size == ranks.size()) return;
  }
}

}  // namespace program
