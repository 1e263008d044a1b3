// What a run has seen of its own losses.
#pragma once

#include <nadaraya/types.hpp>

#include <string>
#include <vector>

namespace program {

struct Validation {
  float step = 0, loss = 0, mean_support = 0, empty_share = 0;
};

struct History {
  std::vector<float> training;  ///< the loss before each step
  std::vector<Validation> validation;

  /// Mean over the last steps, 100 at most; 0 before the first.
  double recent_loss() const;
};

/// Writes training.csv and validation.csv to the folder of --output-dir. Throws UsageError.
void write_tables(const std::string& folder, const History& history);

/// Draws them as loss.svg; false where gnuplot is missing. Throws UsageError where it fails.
bool draw_curve(const std::string& folder, const std::string& title);

}  // namespace program
