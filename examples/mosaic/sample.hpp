// mosaic sample: text from a trained model.
#pragma once

#include <nadaraya/types.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace program {

struct SampleOptions {
  std::string checkpoint;
  std::optional<std::string> prompt;  ///< without, a line break, or the first character of a model that knows none
  nadaraya::Index characters = 500;
  double temperature = 0.8;
  std::uint64_t seed = 1;
  int threads = 1;
};

/// Prints the prompt and so many characters more. The same checkpoint and options print the same. Throws UsageError.
void sample(const SampleOptions& options);

}  // namespace program
