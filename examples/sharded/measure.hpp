// A decoder's calls, measured.
#pragma once

#include "decoder.hpp"
#include "links.hpp"
#include "options.hpp"
#include "recorder.hpp"

#include <functional>
#include <vector>

namespace program {

/// Of one query; the number of rounds is the same for all.
struct Measured {
  std::vector<Round> rounds;            ///< bytes: means over queries and ranks
  std::vector<double> before, exchange;  ///< seconds, see Recorder: medians over queries, of the slowest rank; one entry more
  double seconds = 0;                   ///< of a call, likewise
};

/// Decodes the queries of the options one after the other. All ranks get the same.
Measured measure(Recorder& ranks, const Options& options, const Decode& decode, const Cache& cache);

}  // namespace program
