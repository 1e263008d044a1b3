#include "run_kernel.hpp"

#include <nadaraya/kernel/rectified_polynomial.hpp>

namespace program {

Result run_epanechnikov(const Problem& in, const Options& options) {
  return run_kernel(in, options, nadaraya::Epanechnikov{});
}

}  // namespace program
