#include "measure.hpp"

#include "../support/usage.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

namespace program {
namespace {

double median(std::vector<double> numbers) {
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

}  // namespace

Measured measure(Recorder& ranks, const Options& o, const Decode& decode, const Cache& cache) {
  // The first call makes scratch memory.
  decode(ranks, query(o, 0), cache);
  std::vector<std::vector<Recorder::Stage>> calls;
  for (Index i = 0; i < o.calls; ++i) {
    const nadaraya::RowMatrix<float> one = query(o, i);
    double nothing = 0;
    ranks.all_reduce_max(std::span(&nothing, 1));  // all begin together
    ranks.start();
    decode(ranks, one, cache);
    calls.push_back(ranks.stop());
  }
  // Of calls in batches, some may divide their rows among the ranks, which takes a round more: the last one, of outputs.
  const auto longest = *std::max_element(calls.begin(), calls.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  const std::size_t stages = longest.size();
  for (auto& call : calls) call.insert(call.end() - 1, stages - call.size(), Recorder::Stage{});

  // For each stage: bytes, to be added over the ranks, and seconds, of which the largest counts.
  std::vector<double> bytes(2 * stages, 0.0), times;
  for (std::size_t s = 0; s < stages; ++s) {
    std::vector<double> before, exchange;
    for (const auto& call : calls) {
      bytes[2 * s] += call[s].round.sent;
      bytes[2 * s + 1] += call[s].round.received;
      before.push_back(call[s].before);
      exchange.push_back(call[s].exchange);
    }
    times.push_back(median(before));
    times.push_back(median(exchange));
  }
  std::vector<double> whole;
  for (const auto& call : calls) {
    double seconds = 0;
    for (const Recorder::Stage& stage : call) seconds += stage.before + stage.exchange;
    whole.push_back(seconds);
  }
  times.push_back(median(whole));
  ranks.all_reduce_sum(bytes);
  ranks.all_reduce_max(std::span(times));

  Measured result;
  result.seconds = times.back();
  const double shares = static_cast<double>(o.calls) * ranks.size();
  for (std::size_t s = 0; s < stages; ++s) {
    result.before.push_back(times[2 * s]);
    result.exchange.push_back(times[2 * s + 1]);
    if (s + 1 < stages) {
      result.rounds.push_back({longest[s].round.function, bytes[2 * s] / shares, bytes[2 * s + 1] / shares});
    }
  }
  return result;
}

}  // namespace program
