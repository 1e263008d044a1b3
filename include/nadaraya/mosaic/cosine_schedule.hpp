// The learning rate as training goes on.
#pragma once

#include "nadaraya/types.hpp"

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Rises linearly to `peak` over the warm-up, then falls along half a cosine to `last` at step `steps`, and
/// stays there. Source: Loshchilov & Hutter 2017, arXiv 1608.03983.
struct CosineSchedule {
  double peak = 1e-3;  ///< the highest rate
  double last = 1e-4;  ///< the rate from step `steps` on
  Index warm_up = 100;  ///< steps of the rise
  Index steps = 2000;  ///< steps until the last rate

  /// The rate at a step, counted from 0.
  double operator()(Index step) const {
    if (step < warm_up) return peak * static_cast<double>(step + 1) / static_cast<double>(warm_up + 1);
    if (step >= steps) return last;
    const double done = static_cast<double>(step - warm_up) / static_cast<double>(steps - warm_up);
    return last + 0.5 * (1.0 + std::cos(3.141592653589793 * done)) * (peak - last);
  }
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
