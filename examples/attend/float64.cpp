#include "run.hpp"

namespace program {

Result run_float64(const Problem& in, const Options& options) { return run<double>(in, options); }

}  // namespace program
