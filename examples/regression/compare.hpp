// Kernel regression of two columns of a data file with five kernels, each with the bandwidth that leave-one-out chooses: a
// table, and a picture drawn by gnuplot.
#pragma once

#include <optional>
#include <string>

namespace regression {

struct CompareOptions {
  std::string data;
  std::optional<std::string> x, y, output_dir;
};

/// Throws program::UsageError.
void compare(const CompareOptions& options);

}  // namespace regression
