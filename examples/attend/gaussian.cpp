#include "run_kernel.hpp"

#include <nadaraya/kernel/gaussian.hpp>

namespace program {

Result run_gaussian(const Problem& in, const Options& options) { return run_kernel(in, options, nadaraya::Gaussian{}); }

}  // namespace program
