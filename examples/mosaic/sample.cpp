#include "sample.hpp"

#include "alphabet.hpp"
#include "checkpoint.hpp"
#include "network.hpp"
#include "../support/usage.hpp"

#include <nadaraya/mosaic/counter_random.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <span>
#include <vector>

namespace program {
namespace {

/// A token with probability proportional to e^{logit / temperature}, at the place `at` in [0, 1) of their order;
/// the most probable one at temperature 0.
int choose(std::span<const float> logits, double temperature, double at) {
  const auto top = std::max_element(logits.begin(), logits.end());
  if (temperature == 0) return static_cast<int>(top - logits.begin());
  std::vector<double> sums;
  double sum = 0;
  for (const float logit : logits) sums.push_back(sum += std::exp((static_cast<double>(logit) - static_cast<double>(*top)) / temperature));
  const auto found = std::upper_bound(sums.begin(), sums.end(), at * sum);
  return static_cast<int>(std::min(found - sums.begin(), std::ssize(sums) - 1));
}

}  // namespace

void sample(const SampleOptions& o) {
  check_threads(o.threads);
  if (o.characters < 0) refuse("--characters must be at least 0");
  if (!(o.temperature >= 0 && std::isfinite(o.temperature))) refuse("--temperature must be at least 0 and finite");
  if (o.prompt && o.prompt->empty()) refuse("--prompt must have a character");
  const std::string what = "--checkpoint " + o.checkpoint;
  const Checkpoint checkpoint = load_checkpoint(o.checkpoint, what);
  if (checkpoint.settings.task != "text") refuse(what + ": it is a model of the task " + checkpoint.settings.task + ", not of text");
  const Alphabet alphabet(from_utf8(checkpoint.data.alphabet, what));
  if (alphabet.size() == 0) refuse(what + ": its alphabet is empty");
  const std::string prompt = o.prompt ? *o.prompt : alphabet.knows(U'\n') ? "\n" : alphabet.character(0);
  std::vector<int> tokens = alphabet.tokens(from_utf8(prompt, "--prompt"), "--prompt");
  Network network(checkpoint.settings, alphabet.size(), o.threads);
  restore_parameters(checkpoint, network);

  const nadaraya::mosaic::CounterRandom random(o.seed, 0, 0);
  // The model reads on where the block has room; later every character has a block of its own, which begins one further.
  const Index most = checkpoint.settings.block;
  auto past = network.past(1, most);
  Index unread = std::min(std::ssize(tokens), most);
  for (Index i = 0; i < o.characters && std::cout; ++i) {
    const auto& logits = network.logits(std::span<const int>(tokens).last(static_cast<std::size_t>(unread)), past);
    if (!logits.row(unread - 1).allFinite()) {
      refuse(what + ": its logits are not finite: the training diverged; train again with a lower --learning-rate");
    }
    if (i == 0) std::cout << prompt;
    const std::span<const float> next(logits.row(unread - 1).data(), static_cast<std::size_t>(logits.cols()));
    const double at = static_cast<double>(random[static_cast<std::uint64_t>(i)] >> 11) * 0x1p-53;
    tokens.push_back(choose(next, o.temperature, at));
    std::cout << alphabet.character(tokens.back()) << std::flush;
    unread = 1;
    if (past.tokens < most) continue;
    past = network.past(1, most);
    unread = most;
  }
  if (o.characters == 0) std::cout << prompt;
  std::cout << std::endl;
  if (!std::cout) refuse("standard output cannot be written");
}

}  // namespace program
