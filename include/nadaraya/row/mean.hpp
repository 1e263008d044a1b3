// The mean of a row's gradients, and sums of deviations from it.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"

#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// A mean of gradients, as a sum of two numbers: the rounding of one number would be the same in the deviation of every
/// key, and add up where deviations are summed.
template <class Scalar>
struct Mean {
  Scalar high{0};
  Scalar low{0};

  Scalar deviation(const Scalar& g) const { return Scalar((g - high) - low); }
};

/// sum_j factor(j) (g_j - mean), in a wider scalar where there is one: where keys are nearly alike, the terms cancel.
template <class Scalar, class Factor>
Scalar sum_by_deviation(RowView<Scalar> g, const Mean<Scalar>& mean, const Factor& factor) {
  using Wide = engine::Wide<Scalar>;
  const Wide at(Wide(mean.high) + Wide(mean.low));
  const Wide total = sum<Wide>(g.size(), [&](std::size_t j) { return Wide(Wide(factor(j)) * Wide(Wide(g[j]) - at)); });
  return static_cast<Scalar>(total);
}

/// origin + the mean that moments have found, relative to it.
template <class Scalar>
Mean<Scalar> mean_of(const engine::Moments<Scalar>& sums, const Scalar& origin) {
  using Wide = engine::Wide<Scalar>;
  const Wide from(origin);
  const Wide relative(sums.first / sums.mass);
  const Scalar high(static_cast<Scalar>(Wide(from + relative)));
  // What the sum has lost, exactly, whichever of the two is the larger.
  const bool nearer = abs(relative) <= abs(from);
  const Wide low(nearer ? (from - Wide(high)) + relative : (relative - Wide(high)) + from);
  return Mean<Scalar>{high, static_cast<Scalar>(low)};
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
