// The threshold of a row: the tau that makes the weights of a compact kernel sum to one.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/normalization/self_normalized.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

// Each function takes the similarities of a row's candidates (at least one, all finite, no order)
// and returns a row map with sum_j kappa(t_j) = 1, but for the rounding of each weight, where t is small at the edge;
// otherwise the mass is what the sum is. Similarities are taken relative to the row's largest before anything else:
// x_j = (z_j - max z) / width, and the unknown is the coordinate m of the largest, 0 < m <= 1:
// below, a lone key has too little weight; above, too much.

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// Newton's step for the width-norm of the weights, total^(1/r) = 1 with r the kernel's width:
/// m + r total (total^(-1/r) - 1) / slope. Total 0 gives NaN.
template <AdaptiveKernel K, class Scalar>
Scalar norm_step(const K& kernel, const engine::ProfileSums<Scalar>& sums, const Scalar& m) {
  const auto width = static_cast<Scalar>(kernel.width());
  return Scalar(m + width * sums.value * detail::expm1(Scalar(-detail::log(sums.value) / width)) / sums.slope);
}

/// The same where the root of the total is known: with c^N = total, total (1/c - 1) =
/// c^(N-1) (1 - total) / (1 + c + ... + c^(N-1)), which loses no digits near total = 1.
template <int N, class Scalar>
NADARAYA_INLINE Scalar norm_step(const RectifiedPolynomial<N>&, const engine::ProfileSums<Scalar>& sums, const Scalar& m) {
  const Scalar c = root<N>(sums.value);
  Scalar powers(1);
  for (int i = 1; i < N; ++i) powers = Scalar(1) + c * powers;
  return Scalar(m + Scalar(N) * (power<N - 1>(c) * (Scalar(1) - sums.value)) / (powers * sums.slope));
}

/// A bound from below on the similarities that have weight, as a coordinate of the largest: the
/// root lies at or below it, as it does below 1.
template <class Scalar>
Scalar offset_of_floor(const RowMap<Scalar>& map, const Scalar& floor) {
  const Scalar offset((map.pivot - floor) / map.width);
  return offset < Scalar(1) ? offset : Scalar(1);
}

/// Some steps from map.offset down towards the root, and never past it: for a rectified polynomial the
/// norm is convex in m (Minkowski), so every tangent lies below it.
template <int N, class Scalar>
void step_down(const RectifiedPolynomial<N>& kernel, RowMap<Scalar>& map, RowView<Scalar> z, int steps) {
  descend(kernel, map, z, [&](const engine::ProfileSums<Scalar>& sums) NADARAYA_INLINE_LAMBDA {
    const Scalar next = norm_step(kernel, sums, map.offset);
    if (next < map.offset) map.offset = next;
    return --steps > 0;
  });
}

/// The same for up to most_rows_at_once short rows from their known floors, at most so many steps and none once they
/// no longer change the weights. If `settled` is not 0, the maps are settled then.
template <int N, class Scalar>
void step_down(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> rows, std::span<const Scalar> known,
               int steps, RowMap<Scalar>* maps, const Scalar& settled = Scalar(0)) {
  const Scalar* z[engine::most_rows_at_once];
  Index n[engine::most_rows_at_once];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    z[i] = rows[i].data();
    n[i] = static_cast<Index>(rows[i].size());
    maps[i].width = static_cast<Scalar>(kernel.width());
  }
  engine::with_loops<Scalar>([&](auto loops) {
    // All roots of the total up to the N-th are convex; square roots are what packs have.
    loops.template step_down<static_cast<int>(std::bit_floor(static_cast<unsigned>(N)))>(
        kernel, Scalar(edge(kernel)), steps, z, n, known.data(), static_cast<Index>(rows.size()), maps, settled);
  });
}

/// Ends the search of a threshold, given an offset that is nearly right: Newton's steps with sums as exact as their terms,
/// until the next leaves no more than rounding; that one is taken. The mass is what the offset's own rounding does to the
/// largest weight, so that dividing takes it out there. What it does to the sum is more, by the number of keys near the
/// edge, and dividing by the sum would put that into the largest weight.
///
/// Below r = 2 those keys are so many times heavier than the offset's rounding that the weights would not sum to one. There
/// coordinates are measured from the edge itself: pivot and offset together have twice the digits, and z - pivot is exact
/// for keys nearby.
template <AdaptiveKernel K, class Scalar>
void settle(const K& kernel, RowMap<Scalar>& map, RowView<Scalar> z) {
  using Wide = engine::Wide<Scalar>;
  const Wide settled(engine::settled_excess<Scalar>(HomogeneousKernel<K> && kernel.width() == 1.0, static_cast<Index>(z.size())));
  RowMap<Scalar> best = map;
  const bool from_edge = kernel.width() < 2.0;
  if (from_edge) {
    map.pivot = Scalar(best.pivot - best.width * best.offset);
    map.offset = Scalar(best.offset + (map.pivot - best.pivot) / best.width);
  }
  bool below = true;
  for (Wide smallest(1);;) {
    const auto sums = exact_sums(kernel, map, z);
    const Wide excess = abs(Wide(sums.value - Wide(1)));
    // From below the root a step may go far beyond it, from above only nearer.
    if (!below && !(excess < smallest)) {
      map = best;
      return;
    }
    below = sums.value < Wide(1);
    smallest = excess;
    best = map;
    best.mass = static_cast<Scalar>(sums.value);
    const Wide next = norm_step(kernel, sums, Wide(map.offset));
    map.offset = static_cast<Scalar>(next);
    map.mass = from_edge ? Scalar(1) : static_cast<Scalar>(Wide(1) + Wide(kernel.width()) * (Wide(map.offset) - next) / next);
    if (excess <= settled || map.offset == best.offset) return;
  }
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
/// the root monotonically. The support itself is found by bisection over the sorted keys. s may underflow, w does not:
/// the map is one of underflowing.hpp.
template <class Scalar>
RowMap<Scalar> steep_threshold(const RectifiedPower& kernel, RowView<Scalar> z) {
  const double r = kernel.exponent();
  const auto width = static_cast<Scalar>(r);
  const std::vector<Scalar> sorted = descending(std::vector<Scalar>(z.begin(), z.end()));
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
    return RowMap<Scalar>{pivot, width, detail::pow(weight, 1.0 / r), weight > Scalar(0) ? Scalar(-weight) : Scalar(1)};
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

}  // namespace detail

/// Any adaptive compact kernel: Newton on the width-norm of the weights, inside a shrinking
/// bracket. For rectified polynomials with r >= 1 that norm is convex in m, and linear between two
/// changes of the support for r = 1, so Newton from the right descends monotonically: for r = 1
/// (sparsemax) it is Michelot's algorithm (1986), which ends at the exact support after finitely
/// many steps, and for r > 1 it converges quadratically. Where a step would leave the bracket the
/// bracket is halved instead. It ends when a step no longer changes the weights, never after a fixed
/// count. O(n) per step. Where coordinates are measured from the edge, the end is left to detail::settle.
template <AdaptiveKernel K, class Scalar>
RowMap<Scalar> threshold(const K& kernel, RowView<Scalar> z, const Scalar& known) {
  static_assert(CompactKernel<K>);
  const auto width = static_cast<Scalar>(kernel.width());
  const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
  const auto lowest = static_cast<Scalar>(edge(kernel));
  Scalar low = lowest;
  auto high = static_cast<Scalar>(centre(kernel));
  const bool from_edge = lowest == Scalar(0);
  // A step of this part of the largest key's height, or of what changes its weight, is the last.
  constexpr bool convex = requires(RowMap<Scalar> any) { detail::step_down(kernel, any, z, 1); };
  const Scalar enough = convex ? Scalar(Scalar(1) / Scalar(1024)) : Scalar(Scalar(2) * epsilon);
  RowMap<Scalar> map{detail::largest(z), width, high, Scalar(1)};
  if constexpr (convex) {
    high = detail::offset_of_floor(map, known);
    map.offset = high;
  }
  detail::descend(kernel, map, z, [&](const engine::ProfileSums<Scalar>& sums) NADARAYA_INLINE_LAMBDA {
    map.mass = sums.value;
    const Scalar m = map.offset;
    (sums.value < Scalar(1) ? low : high) = m;
    Scalar next = detail::norm_step(kernel, sums, m);
    const Scalar tolerance(enough * (std::min)(Scalar(m - lowest), Scalar(detail::abs(m) + Scalar(1) / width)));
    if (detail::abs(Scalar(next - m)) <= tolerance) {
      if (convex && next > low && next < high) map.offset = next;
      return false;
    }
    if (!(next > low && next < high)) next = Scalar(low + (high - low) / Scalar(2));
    if (!(next > low && next < high)) return false;
    map.offset = next;
    return true;
  });
  if (from_edge) detail::settle(kernel, map, z);
  return map;
}

/// The same for up to most_rows_at_once short rows, of which floors are known.
template <int N, class Scalar>
void thresholds(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> rows, std::span<const Scalar> known,
                RowMap<Scalar>* maps) {
  detail::step_down(kernel, rows, known, (std::numeric_limits<int>::max)(), maps,
                    engine::settled_excess<Scalar>(N == 1, engine::longest_short_row));
}

/// Any real r: the general solver, except below r = 1, where the profile is steep at the edge.
template <class Scalar>
RowMap<Scalar> threshold(const RectifiedPower& kernel, RowView<Scalar> z, const Scalar& known) {
  if (kernel.exponent() < 1.0) return detail::steep_threshold(kernel, z);
  return threshold<RectifiedPower, Scalar>(kernel, z, known);
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
