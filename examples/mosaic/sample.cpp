#include "sample.hpp"

#include "alphabet.hpp"
#include "checkpoint.hpp"
#include "network.hpp"
#include "usage.hpp"

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
  if (o.threads < 1) refuse("--threads must be at least 1");
  if (o.characters < 0) refuse("--characters must be at least 0");
  if (!(o.temperature >= 0 && std::isfinite(o.temperature))) refuse("--temperature must be at least 0 and finite");
  if (o.prompt.empty()) refuse("--prompt must have a character");
  const Checkpoint checkpoint = load_checkpoint(o.checkpoint);
  if (checkpoint.settings.task != "text") refuse(o.checkpoint + ": it is a model of the task " + checkpoint.settings.task + ", not of text");
  const Alphabet alphabet(from_utf8(checkpoint.data.alphabet, o.checkpoint));
  std::vector<int> tokens = alphabet.tokens(from_utf8(o.prompt, "--prompt"), "--prompt");
  Network network(checkpoint.settings, alphabet.size(), o.threads);
  restore_parameters(checkpoint, network);

  std::cout << o.prompt;
  const nadaraya::mosaic::CounterRandom random(o.seed, 0, 0);
  const auto most = static_cast<std::size_t>(checkpoint.settings.block);
  for (Index i = 0; i < o.characters && std::cout; ++i) {
    const std::span<const int> seen = std::span<const int>(tokens).last(std::min(tokens.size(), most));
    const double at = static_cast<double>(random[static_cast<std::uint64_t>(i)] >> 11) * 0x1p-53;
    tokens.push_back(choose(network.logits_after(seen), o.temperature, at));
    std::cout << alphabet.character(tokens.back()) << std::flush;
  }
  std::cout << std::endl;
  if (!std::cout) refuse("standard output cannot be written");
}

}  // namespace program
