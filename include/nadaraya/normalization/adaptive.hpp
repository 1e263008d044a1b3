// Adaptive normalization: each row gets the bandwidth at which its weights sum to one by themselves.
#pragma once

#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/row/functions.hpp"

#include <span>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Adaptive normalization: t_j = z_j / width - tau, p_j = kappa(t_j), with tau such that sum_j p_j = 1. For rectified
/// polynomials this is alpha-entmax (sparsemax at alpha = 2), for the Gaussian softmax.
///
/// Read as a regression, it is the fixed-bandwidth estimator with a bandwidth of its own for every
/// query: on the unit sphere with z = beta^2 q.k, h(q)^2 = 2 (1 - tau / ((alpha - 1) beta^2))
/// (arXiv 2601.22766). Rows are never empty while a key is visible. Defined for every kernel with
/// a `width`; the box kernel has none.
struct Adaptive {
  /// Refuses kernels without width(), such as Uniform, when compiled.
  template <class K, class Similarity, class Mask>
  static constexpr void check() {
    static_assert(AdaptiveKernel<K>,
                  "Adaptive needs a kernel whose profile falls to zero continuously and that says so with a member "
                  "width(): Uniform has none; use FixedBandwidth or NearestNeighbors with it");
    static_assert(CompactKernel<K> || ExponentialKernel<K>,
                  "Adaptive needs a compact kernel, or one declared exponential like Gaussian");
  }

  /// No key further than width below the best can have weight, since t <= 1 for the best; and for a
  /// rectified polynomial the tau of any part of the row is a bound as well, from below, as is every
  /// step of Newton's method towards it.
  template <AdaptiveKernel K, class Scalar>
  Scalar floor(const K& kernel, double, RowView<Scalar> z, const Scalar& floor_bound) const {
    if constexpr (K::compact) {
      if (!z.empty()) return detail::ThresholdSearch<K, Scalar>(kernel, z, floor_bound).floor(floor_steps);
    }
    return -Scalar(Eigen::NumTraits<Scalar>::infinity());
  }

  /// `floor` for a group of short rows at once.
  template <int N, detail::SearchedTogether Scalar>
  void floors(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> z, std::span<const Scalar> floor_bound,
              Scalar* floors) const {
    detail::threshold_floors(kernel, z, floor_bound, floor_steps, floors);
  }

  /// The threshold tau: closed form for r = 1 and 2, Newton steps to convergence otherwise, O(row) each.
  template <AdaptiveKernel K, class Scalar>
  RowNormalizer<Scalar> solve(const K& kernel, double, RowView<Scalar> z, const Scalar& floor_bound) const {
    if constexpr (ExponentialKernel<K>) {
      return detail::at_nearest(kernel, nearest_width<Scalar>(kernel), z);
    } else {
      if constexpr (std::is_same_v<K, RectifiedPower>) {
        if (kernel.exponent() < 1.0) return detail::steep_threshold(kernel, z);
      }
      return detail::ThresholdSearch<K, Scalar>(kernel, z, floor_bound).threshold();
    }
  }

  /// `solve` for a group of short rows at once.
  template <int N, detail::SearchedTogether Scalar>
  void solve(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> z, std::span<const Scalar> floor_bound,
             RowNormalizer<Scalar>* maps) const {
    detail::thresholds(kernel, z, floor_bound, maps);
  }

  /// The width of a kernel whose rows are measured from the nearest key.
  template <class Scalar, ExponentialKernel K>
  Scalar nearest_width(const K& kernel) const {
    return Scalar(kernel.width());
  }

  /// With s_j = dp_j/dz_j at fixed tau: dL/dz_j = s_j (g_j - sum s g / sum s). Sums to zero over
  /// the row. For alpha: sum_j (dp_j/dalpha at fixed tau) (g_j - sum s g / sum s).
  template <AdaptiveKernel K, class Scalar>
  void pullback(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                ParameterGradients<Scalar>& parameters) const {
    if constexpr (std::is_same_v<K, RectifiedPower>) {
      if (kernel.exponent() < 1.0) return detail::pull_steep(kernel, map, t, g, dz, parameters);
    }
    // dz holds s first, which a lone key does not need.
    if (t.size() > 1) {
      if constexpr (AlphaKernel<K>) {
        parameters.alpha += detail::adaptive_slopes(kernel, t, g, dz);
      } else {
        // Where coordinates are measured from the edge, the mass is the rounding of a power r, of which slopes, a power
        // r - 1, have less.
        const bool from_edge = K::compact && centre(kernel) == 1.0;
        detail::slopes(kernel, t, from_edge ? map.width : Scalar(map.mass * map.width), dz);
      }
    }
    detail::pull_slopes(g, dz);
  }

 private:
  /// Steps towards the threshold of some candidates that raise the floor of the row.
  static constexpr int floor_steps = 2;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
