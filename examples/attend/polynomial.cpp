#include "run_kernel.hpp"

#include <nadaraya/kernel/rectified_power.hpp>

namespace program {

Result run_polynomial(const Problem& in, const Options& options) {
  using nadaraya::RectifiedPower;
  return run_kernel(in, options,
                    options.alpha ? RectifiedPower::from_alpha(*options.alpha) : RectifiedPower{*options.exponent});
}

}  // namespace program
