#include "run_kernel.hpp"

#include <nadaraya/kernel/rectified_polynomial.hpp>

namespace program {

Result run_biweight(const Problem& in, const Options& options) { return run_kernel(in, options, nadaraya::Biweight{}); }

}  // namespace program
