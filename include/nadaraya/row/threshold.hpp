// The threshold of a row: the tau that makes the weights of a compact kernel sum to one.
#pragma once

#include "nadaraya/detail/inline.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/loops/tiers.hpp"
#include "nadaraya/row/declarations.hpp"
#include "nadaraya/row/row_sums.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>
#include <span>

// Similarities are taken relative to the row's largest before anything else: x_j = (z_j - max z) / width, and the unknown
// is the coordinate m of the largest, centre - 1 < m <= centre: below the root a lone key has too little weight, above it
// too much. The equation is solved by Newton's method for the width-norm of the weights, total^(1/r) = 1 with r the
// kernel's width, or for a lower root. For a power r >= 1 that norm is convex in m (Minkowski), and linear between two changes
// of the support for r = 1, so that steps from the right descend monotonically and never pass the root: for r = 1 (sparsemax)
// it is Michelot's algorithm (1986), which ends at the exact support after finitely many steps, and for r > 1 it converges
// quadratically. Powers below 1 are left to steep.hpp.

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Newton's step: m + r total (total^(-1/r) - 1) / slope. Total 0 gives NaN.
template <AdaptiveKernel K, class Scalar>
Scalar norm_step(const K& kernel, const engine::ProfileSums<Scalar>& sums, const Scalar& m) {
  const auto width = static_cast<Scalar>(kernel.width());
  return Scalar(m + width * sums.value * detail::expm1(Scalar(-detail::log(sums.value) / width)) / sums.slope);
}

/// All roots of the total up to the N-th are convex in m; square roots are what machines have, and packs.
template <int N>
inline constexpr int convex_root = static_cast<int>(std::bit_floor(static_cast<unsigned>(N)));

/// The same by the root R = convex_root: with c^R = total, total (1/c - 1) = c^(R-1) (1 - total) / (1 + c + ... + c^(R-1)),
/// which loses no digits near total = 1.
template <int N, class Scalar>
NADARAYA_INLINE Scalar norm_step(const RectifiedPolynomial<N>&, const engine::ProfileSums<Scalar>& sums, const Scalar& m) {
  constexpr int R = convex_root<N>;
  Scalar c = sums.value;
  for (int k = R; k > 1; k /= 2) c = detail::sqrt(c);
  Scalar powers(1);
  for (int i = 1; i < R; ++i) powers = Scalar(1) + c * powers;
  return Scalar(m + Scalar(R) * (power<R - 1>(c) * (Scalar(1) - sums.value)) / (powers * sums.slope));
}

/// Is the kernel known to be a power of at least 1, so that steps from the right never pass the root?
template <class K>
inline constexpr bool convex_norm = false;
template <int N>
inline constexpr bool convex_norm<RectifiedPolynomial<N>> = true;

/// The similarity at which t is at the edge of the support, less what rounding may have added to it. The last of the map's
/// numbers is not used.
template <CompactKernel K, class Scalar>
Scalar floor_of(const K& kernel, const RowNormalizer<Scalar>& map) {
  const Scalar slack(Scalar(16) * Scalar(Eigen::NumTraits<Scalar>::epsilon()) * (detail::abs(map.pivot) + map.width));
  return Scalar(map.pivot - map.width * Scalar(map.offset - Scalar(edge(kernel))) - slack);
}

/// The search of one row's threshold, given its similarities (at least one, all finite, no order) and a floor of them that
/// is known. O(n) per step.
template <AdaptiveKernel K, class Scalar>
class ThresholdSearch {
 public:
  ThresholdSearch(const K& kernel, RowView<Scalar> z, const Scalar& floor_bound)
      : kernel_(kernel),
        z_(z),
        edge_(static_cast<Scalar>(edge(kernel))),
        low_(edge_),
        high_(static_cast<Scalar>(centre(kernel))),
        map_{largest(z), static_cast<Scalar>(kernel.width()), high_, Scalar(1)} {
    if constexpr (convex_norm<K>) {
      // A floor is a bound from below on the similarities that have weight: a coordinate from above of the largest.
      const Scalar offset((map_.pivot - floor_bound) / map_.width);
      if (offset < high_) map_.offset = high_ = offset;
    }
  }

  /// A better floor: no key further than width below the largest has weight, and neither has one below the threshold of
  /// any part of the row, to which some steps lead.
  Scalar floor(int steps) const {
    RowNormalizer<Scalar> map = map_;
    if constexpr (convex_norm<K>) {
      descend(kernel_, map, z_, [&](const engine::ProfileSums<Scalar>& sums) NADARAYA_INLINE_LAMBDA {
        const Scalar next = norm_step(kernel_, sums, map.offset);
        if (next < map.offset) map.offset = next;
        return --steps > 0;
      });
    }
    return floor_of(kernel_, map);
  }

  /// sum_j kappa(t_j) = 1, but for the rounding of each weight, where t is small at the edge; otherwise the mass is what the
  /// sum is.
  RowNormalizer<Scalar> threshold() {
    approach();
    if (edge_ == Scalar(0)) settle();
    return map_;
  }

 private:
  /// Steps inside a shrinking bracket, which is halved where one would leave it, until a step no longer changes the
  /// weights, never for a fixed count; where the norm is convex until the next step is small, which settle goes on from.
  void approach() {
    const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
    // A step of this part of the largest key's height, or of what changes its weight, is the last.
    const Scalar enough = convex_norm<K> ? Scalar(Scalar(1) / Scalar(1024)) : Scalar(Scalar(2) * epsilon);
    // Copies: where this changes members inside the loop, g++ 12 and 13 -O2 make code that loses some of them.
    RowNormalizer<Scalar> map = map_;
    const Scalar edge = edge_;
    Scalar low = low_, high = high_;
    descend(kernel_, map, z_, [&](const engine::ProfileSums<Scalar>& sums) NADARAYA_INLINE_LAMBDA {
      map.mass = sums.value;
      const Scalar m = map.offset;
      if (sums.value < Scalar(1)) {
        low = m;
      } else {
        high = m;
      }
      Scalar next = norm_step(kernel_, sums, m);
      const Scalar tolerance(enough * (std::min)(Scalar(m - edge), Scalar(detail::abs(m) + Scalar(1) / map.width)));
      if (detail::abs(Scalar(next - m)) <= tolerance) {
        if (convex_norm<K> && next > low && next < high) map.offset = next;
        return false;
      }
      if (!(next > low && next < high)) next = Scalar(low + (high - low) / Scalar(2));
      if (!(next > low && next < high)) return false;
      map.offset = next;
      return true;
    });
    map_ = map;
  }

  /// Steps with sums as exact as their terms, from an offset that is nearly right, until the next leaves no more than
  /// rounding; that one is taken. The mass is what the offset's own rounding does to the largest weight, so that dividing
  /// takes it out there. What it does to the sum is more, by the number of keys near the edge, and dividing by the sum
  /// would put that into the largest weight.
  ///
  /// Below r = 2 those keys are so many times heavier than the offset's rounding that the weights would not sum to one.
  /// There coordinates are measured from the edge itself: pivot and offset together have twice the digits, and z - pivot
  /// is exact for keys nearby.
  void settle() {
    using Wide = engine::Wide<Scalar>;
    const Wide settled(
        engine::settled_excess<Scalar>(HomogeneousKernel<K> && kernel_.width() == 1.0, static_cast<Index>(z_.size())));
    RowNormalizer<Scalar> best = map_;
    const bool from_edge = kernel_.width() < 2.0;
    if (from_edge) {
      map_.pivot = Scalar(best.pivot - best.width * best.offset);
      map_.offset = Scalar(best.offset + (map_.pivot - best.pivot) / best.width);
    }
    bool below = true;
    for (Wide smallest(1);;) {
      const auto sums = exact_sums(kernel_, map_, z_);
      const Wide excess = abs(Wide(sums.value - Wide(1)));
      // From below the root a step may go far beyond it, from above only nearer.
      if (!below && !(excess < smallest)) {
        map_ = best;
        return;
      }
      below = sums.value < Wide(1);
      smallest = excess;
      best = map_;
      best.mass = static_cast<Scalar>(sums.value);
      const Wide next = norm_step(kernel_, sums, Wide(map_.offset));
      map_.offset = static_cast<Scalar>(next);
      map_.mass =
          from_edge ? Scalar(1) : static_cast<Scalar>(Wide(1) + Wide(kernel_.width()) * (Wide(map_.offset) - next) / next);
      if (excess <= settled || map_.offset == best.offset) return;
    }
  }

  const K& kernel_;
  RowView<Scalar> z_;
  Scalar edge_;  ///< the coordinate at and below which there is no weight
  Scalar low_;
  Scalar high_;
  RowNormalizer<Scalar> map_;
};

/// The search for a group of short rows at once, lane by lane: at most so many steps and none once they no longer change
/// the weights. If `settled` is not 0, the maps are settled then.
template <int N, SearchedTogether Scalar>
void search_thresholds(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> rows,
                       std::span<const Scalar> floor_bound, int steps, RowNormalizer<Scalar>* maps, const Scalar& settled) {
  const Scalar* z[engine::most_rows_at_once];
  Index n[engine::most_rows_at_once];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    z[i] = rows[i].data();
    n[i] = static_cast<Index>(rows[i].size());
    maps[i].width = static_cast<Scalar>(kernel.width());
  }
  engine::with_kernel_loops<RectifiedPolynomial<N>, Scalar>([&](auto loops) {
    loops.template step_down<convex_root<N>>(
        kernel, Scalar(edge(kernel)), steps, z, n, floor_bound.data(), static_cast<Index>(rows.size()), maps, settled);
  });
}

/// ThresholdSearch::floor of each row.
template <int N, SearchedTogether Scalar>
void threshold_floors(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> rows,
                      std::span<const Scalar> floor_bound, int steps, Scalar* floors) {
  RowNormalizer<Scalar> maps[engine::most_rows_at_once];
  search_thresholds(kernel, rows, floor_bound, steps, maps, Scalar(0));
  for (std::size_t i = 0; i < rows.size(); ++i) floors[i] = floor_of(kernel, maps[i]);
}

/// ThresholdSearch::threshold of each row.
template <int N, SearchedTogether Scalar>
void thresholds(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> rows, std::span<const Scalar> floor_bound,
                RowNormalizer<Scalar>* maps) {
  search_thresholds(kernel, rows, floor_bound, (std::numeric_limits<int>::max)(), maps,
                    engine::settled_excess<Scalar>(N == 1, engine::longest_short_row));
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
