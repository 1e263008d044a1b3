// Adaptive rows under a power below 1 (alpha > 2), whose slope at the edge is infinite: their threshold and their gradient.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/row/mean.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Thresholds for r < 1 (alpha > 2). The profile leaves the edge with infinite slope: a key with
/// weight 0.01 at alpha = 10 lies 1e-18 above the edge, which no coordinate measured from the
/// largest key can express. So the map is anchored at the smallest supported key, and the unknown
/// is that key's own weight w, with s = w^(1/r) its coordinate:
///   F(w) = sum_j (d_j + s)^r - 1,  d_j = distance above that key,  F' = sum_j (s / (d_j + s))^(1-r).
/// F is convex with slope between the number of ties and n, so Newton from the right descends to
/// the root monotonically. The support itself is found by bisection over the sorted keys. s may underflow, w does not:
/// the map is one of underflowing.hpp.
template <class Scalar>
RowNormalizer<Scalar> steep_threshold(const RectifiedPower& kernel, RowView<Scalar> z) {
  const double r = kernel.exponent();
  const auto width = static_cast<Scalar>(r);
  static thread_local std::vector<Scalar> kept;  // so that rows do not allocate
  kept.assign(z.begin(), z.end());
  std::vector<Scalar>& sorted = kept;
  std::sort(sorted.begin(), sorted.end(), std::greater<Scalar>());
  using Wide = engine::Wide<Scalar>;
  const auto mass_above = [&](std::size_t last) {
    return sum<Wide>(last, [&](std::size_t j) { return Wide(detail::pow(Scalar((sorted[j] - sorted[last]) / width), r)); });
  };
  // sorted[0 .. supported) have weight: putting the edge on any of them leaves less than one above.
  std::size_t supported = 1;
  std::size_t beyond = sorted.size();
  while (supported < beyond) {
    const std::size_t middle = supported + (beyond - supported) / 2;
    if (mass_above(middle) < Wide(1)) {
      supported = middle + 1;
    } else {
      beyond = middle;
    }
  }
  const Scalar pivot = sorted[supported - 1];
  const std::size_t above =
      static_cast<std::size_t>(std::find(sorted.begin(), sorted.end(), pivot) - sorted.begin());
  const auto ties = static_cast<Scalar>(static_cast<double>(supported - above));

  const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
  const auto map_of = [&](const Scalar& weight) {
    return RowNormalizer<Scalar>{pivot, width, detail::pow(weight, 1.0 / r), weight > Scalar(0) ? Scalar(-weight) : Scalar(1)};
  };
  Scalar w(Scalar(1) / ties);
  while (true) {
    const Scalar s = detail::pow(w, 1.0 / r);
    Wide excess(Wide(ties) * Wide(w) - Wide(1));
    Wide slope(ties);
    excess +=
        sum<Wide>(above, [&](std::size_t j) { return Wide(detail::pow(Scalar((sorted[j] - pivot) / width + s), r)); });
    slope += sum<Wide>(above, [&](std::size_t j) {
      const Scalar d((sorted[j] - pivot) / width);
      return Wide(detail::pow(Scalar(s / (d + s)), 1.0 - r));
    });
    const Scalar next(static_cast<Scalar>(Wide(Wide(w) - excess / slope)));
    if (!(next > Scalar(0))) return map_of(Scalar(0));
    const bool converged = !(next < w - Scalar(2) * epsilon * w);
    w = next;
    if (converged) return map_of(w);
  }
}

/// Given sums of s relative to the steepest key's: is that one steeper than all others together? Then its own gradient,
/// a difference of nearly equal numbers, is better taken as minus the sum of the others'; otherwise the error of the mean
/// in those would add up in it.
template <class Scalar>
bool outweighs(const engine::Moments<Scalar>& sums) {
  return sums.mass < engine::Wide<Scalar>(2);
}

/// dz_j = s_j (g_j - sum s g / sum s) from ratio(j) = s_j / s_steepest, which is at most 1, and slope(j) = s_j, which may
/// be infinite. What exceeds a part of the scalar's range, such that sums over keys stay finite, is cut off there; the
/// gradients of other keys only see ratios and stay right. Returns the mean.
template <class Scalar, class Ratio, class Slope>
Mean<Scalar> pull_by_ratios(std::size_t steepest, RowView<Scalar> g, const Ratio& ratio, const Slope& slope,
                            RowOut<Scalar> dz) {
  using Wide = engine::Wide<Scalar>;
  const std::size_t n = g.size();
  const Scalar reference = g[steepest];
  for (std::size_t j = 0; j < n; ++j) dz[j] = ratio(j);
  engine::Moments<Scalar> sums;
  sums.mass = sum<Wide>(n, [&](std::size_t j) { return Wide(dz[j]); });
  sums.first = sum<Wide>(n, [&](std::size_t j) { return Wide(dz[j]) * (Wide(g[j]) - Wide(reference)); });
  const Mean<Scalar> mean = mean_of(sums, reference);
  const Scalar highest(Eigen::NumTraits<Scalar>::highest());
  const Scalar most(highest / Scalar(65536) / Scalar(static_cast<double>(n)));
  const auto cut = [&](const Scalar& x) { return x > most ? most : x < Scalar(-most) ? Scalar(-most) : x; };
  for (std::size_t j = 0; j < n; ++j) {
    const Scalar s = slope(j);
    dz[j] = cut(Scalar((s < highest ? s : highest) * mean.deviation(g[j])));
  }
  if (outweighs(sums)) {
    dz[steepest] = Scalar(0);
    const auto others = sum<Wide>(n, [&](std::size_t j) { return Wide(dz[j]); });
    dz[steepest] = cut(static_cast<Scalar>(-others));
  }
  return mean;
}

/// The pullback of Adaptive for powers r < 1 (alpha > 2), s_j = t_j^(r - 1) = p_j^(2 - alpha). With the mean that makes
/// sum_j s_j (g_j - mean) = 0, the gradient of alpha is sum_j r p_j (r - log p_j) (g_j - mean), without s.
template <class Scalar>
void pull_steep(const RectifiedPower& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g,
                RowOut<Scalar> dz, ParameterGradients<Scalar>& parameters) {
  const double r = kernel.exponent();
  const auto steepest = static_cast<std::size_t>(std::min_element(t.begin(), t.end()) - t.begin());
  const auto log_weight = [&](std::size_t j) {
    return t[j] > Scalar(0) ? Scalar(Scalar(r) * detail::log(t[j])) : detail::log(Scalar(-t[j]));
  };
  // Minus the weight stands for the least coordinate, which may underflow.
  const bool given = map.offset >= Scalar((std::numeric_limits<Scalar>::min)());
  const Scalar least = t[steepest] > Scalar(0) ? t[steepest] : map.offset;
  const Scalar exponent(static_cast<Scalar>(1.0 - 1.0 / r));
  const auto slope = [&](std::size_t j) {
    if (t[j] > Scalar(0)) return detail::pow(t[j], r - 1.0);
    return given ? detail::pow(least, r - 1.0) : detail::exp(Scalar(exponent * log_weight(j)));
  };
  const Scalar log_slope = given ? Scalar(0) : Scalar(exponent * log_weight(steepest));
  const auto ratio = [&](std::size_t j) {
    if (!(t[j] > Scalar(0))) return Scalar(1);
    if (given) return detail::pow(Scalar(least / t[j]), 1.0 - r);
    return detail::exp(Scalar(Scalar(r - 1.0) * detail::log(t[j]) - log_slope));
  };
  const Mean<Scalar> mean = pull_by_ratios(steepest, g, ratio, slope, dz);
  parameters.alpha += sum_by_deviation(g, mean, [&](std::size_t j) {
    const Scalar log_p = log_weight(j);
    return Scalar(Scalar(r) * detail::exp(log_p) * (Scalar(r) - log_p));
  });
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
