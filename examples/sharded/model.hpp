// Traffic against the number of ranks, and the time it would take between machines.
#pragma once

#include "options.hpp"

namespace program {

/// Counts bytes and rounds of a query on 1, 2, 4, ..., 1,024 ranks, as threads of rank 0, and on the ranks of the job;
/// prints the time of its messages on each link, and with an output folder writes traffic.json and traffic.svg. All ranks
/// throw the same if one fails.
void run_model(Ranks& ranks, const Options& options);

}  // namespace program
