// Modes of the program with generated tokens.
#pragma once

#include "options.hpp"

namespace program {

/// Decodes against --tokens keys over the ranks of the job, and prints bytes, rounds and time by stage. All ranks throw the
/// same if one fails.
void run_decode(Ranks& ranks, const Options& options);

/// The same number of keys on every rank of groups of 1, 2, 4, ... ranks: prints how the time of a query grows.
void run_weak_scaling(Ranks& ranks, const Options& options);

}  // namespace program
