// The gradient of weights that sum to one by themselves, from their slopes.
#pragma once

#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/mean.hpp"
#include "nadaraya/row/row_sums.hpp"
#include "nadaraya/row/steep.hpp"

#include <algorithm>
#include <cstddef>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// dz_j holds s_j = dp_j/dz_j at fixed tau and becomes s_j (g_j - sum s g / sum s), which sums to zero; s of a lone key is
/// not used. Not inline, so that `extern template` keeps it from being compiled again.
template <class Scalar>
void pull_slopes(RowView<Scalar> g, RowOut<Scalar> dz) {
  if (g.size() == 1) {
    dz[0] = Scalar(Scalar(0) * g[0]);
    return;
  }
  const Scalar steepest_slope = largest(RowView<Scalar>(dz));
  const auto moments_about = [&](const Scalar& origin) {
    return moments(RowView<Scalar>(dz), Scalar(Scalar(1) / steepest_slope), g, origin);
  };
  const auto sums = moments_about(Scalar(0));
  auto mean = mean_of(sums, Scalar(0));
  const bool outweighed = outweighs(sums);
  std::size_t steepest = 0;
  if (outweighed) {
    steepest = static_cast<std::size_t>(std::find(dz.begin(), dz.end(), steepest_slope) - dz.begin());
    mean = mean_of(moments_about(g[steepest]), g[steepest]);
  }
  if (!outweighed) mean.low = Scalar(0);  // would only be rounded away, once more
  if (outweighed) dz[steepest] = Scalar(0);
  const Scalar others = deviate(dz, g, mean);
  if (outweighed) dz[steepest] = Scalar(-others);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
