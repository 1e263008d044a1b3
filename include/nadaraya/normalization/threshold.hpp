// The threshold of a row: the tau that makes the weights of a compact kernel sum to one.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/normalization/row_map.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

// Each function takes the similarities of a row's candidates (at least one, all finite, no order)
// and returns a row map of mass one with sum_j kappa(t_j) = 1. Similarities are taken relative to
// the row's largest before anything else: x_j = (z_j - max z) / width, and the unknown is the
// coordinate m of the largest, 0 < m <= 1: below, a lone key has too little weight; above, too much.

namespace nadaraya {

namespace detail {

/// x_j of the keys that can have weight (x_j > -1, since t_j = x_j + m and m <= 1).
template <AdaptiveKernel K, class Scalar>
std::vector<Scalar> shifted(const K& kernel, RowView<Scalar> z, const Scalar& largest) {
  const auto width = static_cast<Scalar>(kernel.width());
  std::vector<Scalar> x;
  x.reserve(z.size());
  for (const Scalar& z_j : z) {
    const Scalar x_j((z_j - largest) / width);
    if (x_j > Scalar(-1)) x.push_back(x_j);
  }
  return x;
}

/// One Newton step for sum_j kappa(x_j + m) = 1 on the support of m. It takes off the rounding of
/// a closed form, and carries the derivative of an automatic-differentiation scalar.
template <AdaptiveKernel K, class Scalar>
Scalar polished(const K& kernel, const std::vector<Scalar>& x, const Scalar& m) {
  const Scalar total = sum<Scalar>(x.size(), [&](std::size_t j) {
    const Scalar t(x[j] + m);
    return in_support(kernel, t) ? kernel.profile(t) : Scalar(0);
  });
  const Scalar slope = sum<Scalar>(x.size(), [&](std::size_t j) { return profile_derivative(kernel, Scalar(x[j] + m)); });
  return Scalar(m + (Scalar(1) - total) / slope);
}

/// [z] sorted downwards.
template <class Scalar>
std::vector<Scalar> descending(std::vector<Scalar> values) {
  std::sort(values.begin(), values.end(), std::greater<Scalar>());
  return values;
}

/// Thresholds for r < 1 (alpha > 2). The profile leaves the edge with infinite slope: a key with
/// weight 0.01 at alpha = 10 lies 1e-18 above the edge, which no coordinate measured from the
/// largest key can express. So the map is anchored at the smallest supported key, and the unknown
/// is that key's own weight w, with s = w^(1/r) its coordinate:
///   F(w) = sum_j (d_j + s)^r - 1,  d_j = distance above that key,  F' = sum_j (s / (d_j + s))^(1-r).
/// F is convex with slope between the number of ties and n, so Newton from the right descends to
/// the root monotonically. The support itself is found by bisection over the sorted keys.
template <class Scalar>
RowMap<Scalar> steep_threshold(const RectifiedPower& kernel, RowView<Scalar> z) {
  const double r = kernel.exponent;
  const auto width = static_cast<Scalar>(r);
  const std::vector<Scalar> sorted = descending(std::vector<Scalar>(z.begin(), z.end()));
  const auto mass_above = [&](std::size_t last) {
    return sum<Scalar>(last, [&](std::size_t j) { return pow(Scalar((sorted[j] - sorted[last]) / width), r); });
  };
  // sorted[0 .. supported) have weight: putting the edge on any of them leaves less than one above.
  std::size_t supported = 1;
  std::size_t beyond = sorted.size();
  while (supported < beyond) {
    const std::size_t middle = supported + (beyond - supported) / 2;
    if (mass_above(middle) < Scalar(1)) {
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
  Scalar w(Scalar(1) / ties);
  while (true) {
    const Scalar s = pow(w, 1.0 / r);
    Scalar excess(ties * w - Scalar(1));
    Scalar slope(ties);
    excess += sum<Scalar>(above, [&](std::size_t j) { return pow(Scalar((sorted[j] - pivot) / width + s), r); });
    slope += sum<Scalar>(above, [&](std::size_t j) {
      const Scalar d((sorted[j] - pivot) / width);
      return pow(Scalar(s / (d + s)), 1.0 - r);
    });
    const Scalar next(w - excess / slope);
    if (!(next > Scalar(0))) return RowMap<Scalar>{pivot, width, Scalar(0), Scalar(1)};
    const bool converged = !(next < w - Scalar(2) * epsilon * w);
    w = next;
    if (converged) return RowMap<Scalar>{pivot, width, pow(w, 1.0 / r), Scalar(1)};
  }
}

}  // namespace detail

/// Any adaptive compact kernel: Newton on the width-norm of the weights, total^(1/r) with r the
/// kernel's width, inside a shrinking bracket. For rectified polynomials with r >= 1 that norm is
/// convex in m, and linear when all keys tie, so Newton from the right descends monotonically and
/// quadratically; where it would leave the bracket the bracket is halved instead. It ends when a
/// step no longer changes the weights, never after a fixed count. O(n) per step.
template <AdaptiveKernel K, class Scalar>
RowMap<Scalar> threshold(const K& kernel, RowView<Scalar> z) {
  static_assert(CompactKernel<K>);
  const Scalar largest = *std::max_element(z.begin(), z.end());
  const std::vector<Scalar> x = detail::shifted(kernel, z, largest);
  const auto width = static_cast<Scalar>(kernel.width());
  const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
  const auto lowest = static_cast<Scalar>(edge(kernel));
  Scalar low = lowest;
  auto high = static_cast<Scalar>(centre(kernel));
  Scalar m = high;
  while (true) {
    const Scalar total = detail::sum<Scalar>(x.size(), [&](std::size_t j) {
      const Scalar t(x[j] + m);
      return in_support(kernel, t) ? kernel.profile(t) : Scalar(0);
    });
    const Scalar slope =
        detail::sum<Scalar>(x.size(), [&](std::size_t j) { return profile_derivative(kernel, Scalar(x[j] + m)); });
    (total < Scalar(1) ? low : high) = m;
    // total^(1/r) - 1 over its derivative; total = 0 gives NaN, and the bracket is halved.
    Scalar next(m + width * total * detail::expm1(Scalar(-detail::log(total) / width)) / slope);
    const Scalar tolerance(Scalar(2) * epsilon * (std::min)(Scalar(m - lowest), Scalar(detail::abs(m) + Scalar(1) / width)));
    if (detail::abs(Scalar(next - m)) <= tolerance) {
      m = next;
      break;
    }
    if (!(next > low && next < high)) {
      next = Scalar(low + (high - low) / Scalar(2));
      if (!(next > low && next < high)) break;
    }
    m = next;
  }
  return RowMap<Scalar>{largest, width, m, Scalar(1)};
}

/// r = 1, sparsemax: with k supported keys, m = (1 - sum x) / k, and the support is the longest
/// prefix of the sorted keys whose last key stays above the edge (Held, Wolfe & Crowder 1974;
/// Martins & Astudillo 2016, algorithm 1). Exact. O(n log n).
template <class Scalar>
RowMap<Scalar> threshold(const Epanechnikov& kernel, RowView<Scalar> z) {
  const Scalar largest = *std::max_element(z.begin(), z.end());
  std::vector<Scalar> x = detail::descending(detail::shifted(kernel, z, largest));
  Scalar total(0);
  std::size_t supported = 0;
  while (supported < x.size()) {
    const auto count = static_cast<Scalar>(static_cast<double>(supported + 1));
    const Scalar with(total + x[supported]);
    if (!(x[supported] * count + Scalar(1) > with)) break;
    total = with;
    ++supported;
  }
  x.resize(supported);
  const Scalar sum_x = detail::sum<Scalar>(supported, [&](std::size_t j) { return x[j]; });
  const Scalar m((Scalar(1) - sum_x) / Scalar(static_cast<double>(supported)));
  return RowMap<Scalar>{largest, Scalar(1), detail::polished(kernel, x, m), Scalar(1)};
}

/// r = 2, 1.5-entmax: with k supported keys of mean mu and centred square sum S,
/// m = -mu + sqrt((1 - S) / k); again the longest prefix that stays above the edge (Peters,
/// Niculae & Martins 2019, algorithm 2). S is accumulated centred (Welford), since
/// mean(x^2) - mean(x)^2 would cancel. Exact. O(n log n).
template <class Scalar>
RowMap<Scalar> threshold(const Biweight& kernel, RowView<Scalar> z) {
  const Scalar largest = *std::max_element(z.begin(), z.end());
  std::vector<Scalar> x = detail::descending(detail::shifted(kernel, z, largest));
  Scalar mean(0);
  Scalar centred(0);
  std::size_t supported = 0;
  while (supported < x.size()) {
    const auto count = static_cast<Scalar>(static_cast<double>(supported + 1));
    const Scalar distance(x[supported] - mean);
    const Scalar next_mean(mean + distance / count);
    const Scalar next_centred(centred + distance * (x[supported] - next_mean));
    // The key is above the edge iff the others, measured from it, do not already reach one.
    const Scalar gap(next_mean - x[supported]);
    if (!(next_centred + count * gap * gap < Scalar(1))) break;
    mean = next_mean;
    centred = next_centred;
    ++supported;
  }
  x.resize(supported);
  const auto count = static_cast<Scalar>(static_cast<double>(supported));
  const Scalar exact_mean(detail::sum<Scalar>(supported, [&](std::size_t j) { return x[j]; }) / count);
  const Scalar spread = detail::sum<Scalar>(supported, [&](std::size_t j) {
    const Scalar distance(x[j] - exact_mean);
    return Scalar(distance * distance);
  });
  const Scalar m(detail::sqrt(Scalar((Scalar(1) - spread) / count)) - exact_mean);
  return RowMap<Scalar>{largest, Scalar(2), detail::polished(kernel, x, m), Scalar(1)};
}

/// Any real r: the general solver, except below r = 1, where the profile is steep at the edge.
template <class Scalar>
RowMap<Scalar> threshold(const RectifiedPower& kernel, RowView<Scalar> z) {
  if (kernel.exponent < 1.0) return detail::steep_threshold(kernel, z);
  return threshold<RectifiedPower, Scalar>(kernel, z);
}

}  // namespace nadaraya
