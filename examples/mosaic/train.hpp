// mosaic train: a language model of a text's characters, or a model of a task.
#pragma once

#include "settings.hpp"

#include <optional>
#include <set>
#include <string>

namespace program {

struct TrainOptions {
  Settings settings;
  std::set<std::string> given;  ///< the names of the settings that the command line gave
  std::string text, output_dir;
  int threads = 1;
  Index save_every = 250;
  std::optional<Index> stop_at;
  bool resume = false;
};

/// Leaves checkpoint.safetensors, training.csv, validation.csv and, where gnuplot is installed, loss.svg in the folder, and
/// prints a line of JSON. Returns the exit code: 0, or 128 and the signal that ended the run early.
/// Throws UsageError, also where training diverges: a model that is not finite is never saved, and an earlier checkpoint is
/// then as it was.
int train(const TrainOptions& options);

}  // namespace program
