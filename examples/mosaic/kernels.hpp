// The memory kernels by name. One source file for each scalar: their operators take a while to compile.
#pragma once

#include "../support/usage.hpp"

#include <nadaraya/mosaic/regression_pass.hpp>

#include <string>

namespace program {

/// "top16_softmax" is "top", a number of neighbours, and "_softmax".
struct KernelName {
  std::string family;
  nadaraya::Index neighbors = 0;

  explicit KernelName(const std::string& name) : family(name) {
    std::size_t end = 3;
    if (name.compare(0, 3, "top") != 0) return;
    while (end < name.size() && end < 10 && name[end] >= '0' && name[end] <= '9') {
      neighbors = 10 * neighbors + (name[end++] - '0');
    }
    if (neighbors > 0) family = "top" + name.substr(end);
  }
};

[[noreturn]] inline void refuse_kernel(const std::string& name, const std::string& known) {
  refuse("there is no kernel " + name + "; there are " + known);
}

/// For training. Throws UsageError for an unknown name.
nadaraya::mosaic::KernelChoice<float> training_kernel(const std::string& name, nadaraya::Index neighbors);

/// The inverse bandwidth that training starts from where none is asked for.
double first_beta(const std::string& name);

/// For checking against fixtures: those kernels that they have.
nadaraya::mosaic::KernelChoice<double> checking_kernel(const std::string& name);

}  // namespace program
