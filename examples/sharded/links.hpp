// The time that rounds take between machines: computed, of rounds that were counted.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace program {

/// What a rank says and hears in one call to its communicator, for one query.
struct Round {
  std::string function;
  double sent = 0;      ///< bytes that the rank gives, the mean over the ranks
  double received = 0;  ///< bytes that it gets, the mean over the ranks
};

struct Link {
  const char* name;
  double latency;    ///< seconds until the first byte of a message arrives
  double bandwidth;  ///< bytes a second, each way, of every rank
};

inline constexpr Link links[] = {{"10 Gb/s, 10 us", 10e-6, 10e9 / 8}, {"100 Gb/s, 2 us", 2e-6, 100e9 / 8}};

/// Seconds of one round over `ranks` ranks with nothing else on the links, as the usual algorithms have it: messages go
/// in ceil(log2 ranks) steps. A reduction sends its numbers in each; a gather doubles what has been gathered, after the
/// lengths have come in the same way. An all_to_all sends a message to each rank, one after the other, after the lengths have
/// come as in a gather.
inline double seconds(const Round& round, int ranks, const Link& link) {
  const double steps = std::ceil(std::log2(static_cast<double>(ranks)));
  if (round.function == "all_gather") {
    return 2 * steps * link.latency + (8.0 * (ranks - 1) + round.received) / link.bandwidth;
  }
  if (round.function == "all_to_all") {
    return (steps + ranks - 1) * link.latency + (16.0 * (ranks - 1) + (std::max)(round.sent, round.received)) / link.bandwidth;
  }
  return steps * (link.latency + (std::max)(round.sent, round.received) / link.bandwidth);
}

inline double seconds(const std::vector<Round>& rounds, int ranks, const Link& link) {
  double sum = 0;
  for (const Round& round : rounds) sum += seconds(round, ranks, link);
  return sum;
}

inline double received(const std::vector<Round>& rounds) {
  double sum = 0;
  for (const Round& round : rounds) sum += round.received;
  return sum;
}

/// Softmax as a tree of merges has it: maxima, sums and weighted sums of values, numbers of float, in one reduction.
inline std::vector<Round> softmax_tree(int ranks, double numbers) {
  if (ranks == 1) return {};
  const double bytes = 4 * numbers;
  return {Round{"all_reduce", bytes, bytes}};
}

}  // namespace program
