// Gradients of adaptive weights where the slope of one key may outweigh, or exceed, everything else.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/portable.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/normalization/self_normalized.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

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
void pull_steep(const RectifiedPower& kernel, const RowMap<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g,
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
