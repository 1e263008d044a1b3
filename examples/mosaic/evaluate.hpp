// mosaic evaluate: how well a trained model does its task.
#pragma once

#include <nadaraya/types.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace program {

struct EvaluateOptions {
  std::string checkpoint;
  std::vector<nadaraya::Index> lengths;  ///< empty: 1, 2, 4 and 8 times the longest of training
  nadaraya::Index examples = 100;
  std::uint64_t seed = 1;
  int threads = 1;
};

/// Prints a line of JSON. For each length of a sequence task: the share of answers that the model, which reads its own
/// most probable tokens, gives without a fault, and the share of tokens that are right. For automata: the mean total variation
/// distance to the true law, of the model, of n-grams and of a uniform guess, in all and by the words seen before.
/// Throws UsageError.
void evaluate(const EvaluateOptions& options);

}  // namespace program
