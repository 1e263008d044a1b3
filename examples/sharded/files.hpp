// Attention of arrays in files, of which each rank reads and writes its rows.
#pragma once

#include "options.hpp"

namespace program {

/// Reads, computes and writes; rank 0 prints one JSON object. All ranks throw the same if one fails.
void run_files(Ranks& ranks, const Options& options);

}  // namespace program
