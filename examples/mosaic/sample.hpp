// mosaic sample: text from a trained model.
#pragma once

#include <nadaraya/types.hpp>

#include <cstdint>
#include <string>

namespace program {

struct SampleOptions {
  std::string checkpoint;
  std::string prompt = "\n";
  nadaraya::Index characters = 500;
  double temperature = 0.8;
  std::uint64_t seed = 1;
  int threads = 1;
};

/// Prints the prompt and so many characters more. The same checkpoint and options print the same. Throws UsageError.
void sample(const SampleOptions& options);

}  // namespace program
