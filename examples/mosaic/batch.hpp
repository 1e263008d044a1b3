// What a model is shown at once, and what it should have said.
#pragma once

#include <nadaraya/mosaic/sequences.hpp>

#include <vector>

namespace program {

/// tokens and targets of `shape`; a target may be mosaic::no_target.
struct Batch {
  std::vector<int> tokens, targets;
  nadaraya::mosaic::Sequences shape;
};

}  // namespace program
