#include "run.hpp"

namespace program {

Result run_float32(const Problem& in, const Options& options) { return run<float>(in, options); }

}  // namespace program
