// A decoder's calls, measured.
#pragma once

#include "decoder.hpp"
#include "links.hpp"
#include "options.hpp"
#include "recorder.hpp"

#include <functional>
#include <vector>

namespace program {

/// Of one call; the number of rounds is the same for all.
struct Measured {
  std::vector<Round> rounds;            ///< bytes: means over calls and ranks
  std::vector<double> before, exchange;  ///< seconds, see Recorder: medians over calls, of the slowest rank; one entry more
  double seconds = 0;                   ///< of a call, likewise
};

/// Makes the calls of the options one after the other. All ranks get the same.
Measured measure(Recorder& ranks, const Options& options, const Decode& decode, const Cache& cache);

}  // namespace program
