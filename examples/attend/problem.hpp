// The data that the parts of the program share: options, inputs, results, and one function for each scalar.
#pragma once

#include "weights.hpp"

#include "../support/attention_arrays.hpp"
#include "../support/npy.hpp"
#include "../support/usage.hpp"

#include <nadaraya/operator_options.hpp>
#include <nadaraya/types.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace program {

struct Options : ArrayPaths {
  nadaraya::OperatorOptions op{.spelling = nadaraya::OptionSpelling::command_line};
  std::optional<std::string> weights, plot;
  std::optional<Index> plot_head;
  int threads = default_threads();
};

/// The inputs, all of one scalar and one rank, their shapes checked. With a gradient of the output
/// the gradients of the inputs are wanted too.
struct Problem {
  npy::Array query, key, value;
  std::optional<npy::Array> grad_output;
};

struct Result {
  /// Name and content of each file: out, then grad_query, grad_key, grad_value.
  std::vector<std::pair<std::string, npy::Array>> files;
  double mean_support = 0;
  Index empty_rows = 0;
  double seconds = 0;  ///< of the attention, forward and backward
  std::optional<Weights> weights;
};

// One source file each: an operator for every kernel, normalization and similarity takes a while to compile.
Result run_float32(const Problem& in, const Options& options);
Result run_float64(const Problem& in, const Options& options);

}  // namespace program
