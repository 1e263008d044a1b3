#include "run_kernel.hpp"

#include <nadaraya/kernel/uniform.hpp>

namespace program {

Result run_uniform(const Problem& in, const Options& options) { return run_kernel(in, options, nadaraya::Uniform{}); }

}  // namespace program
