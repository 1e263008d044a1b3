// Adaptive normalization: each row gets the bandwidth at which its weights sum to one by themselves.
#pragma once

#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/normalization/self_normalized.hpp"
#include "nadaraya/normalization/steep.hpp"
#include "nadaraya/normalization/threshold.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// t_j = z_j / width - tau, p_j = kappa(t_j), with tau such that sum_j p_j = 1. For rectified
/// polynomials this is alpha-entmax (sparsemax at alpha = 2), for the Gaussian softmax.
///
/// Read as a regression, it is the fixed-bandwidth estimator with a bandwidth of its own for every
/// query: on the unit sphere with z = beta^2 q.k, h(q)^2 = 2 (1 - tau / ((alpha - 1) beta^2))
/// (arXiv 2601.22766). Rows are never empty while a key is visible. Defined for every kernel with
/// a `width`; the box kernel has none.
struct Adaptive {
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
  /// step of Newton's method towards it. The slack covers the rounding of all that.
  template <AdaptiveKernel K, class Scalar>
  Scalar floor(const K& kernel, double, RowView<Scalar> z, const Scalar& known) const {
    if (!K::compact || z.empty()) return -Scalar(Eigen::NumTraits<Scalar>::infinity());
    const auto width = static_cast<Scalar>(kernel.width());
    RowMap<Scalar> map{detail::largest(z), width, Scalar(1), Scalar(1)};
    if constexpr (requires { detail::step_down(kernel, map, z, 2); }) {
      map.offset = detail::offset_of_floor(map, known);
      detail::step_down(kernel, map, z, 2);
    }
    return floor_of(map);
  }

  template <int N, class Scalar>
    requires engine::vectorized<Scalar>
  void floors(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> z, std::span<const Scalar> known,
              Scalar* floors) const {
    RowMap<Scalar> maps[engine::most_rows_at_once];
    detail::step_down(kernel, z, known, 2, maps);
    for (std::size_t i = 0; i < z.size(); ++i) floors[i] = floor_of(maps[i]);
  }

  template <AdaptiveKernel K, class Scalar>
  RowMap<Scalar> solve(const K& kernel, double, RowView<Scalar> z, const Scalar& known) const {
    if constexpr (ExponentialKernel<K>) {
      return detail::at_nearest(kernel, nearest_width<Scalar>(kernel), z);
    } else {
      return threshold(kernel, z, known);
    }
  }

  template <int N, class Scalar>
    requires engine::vectorized<Scalar>
  void solve(const RectifiedPolynomial<N>& kernel, std::span<const RowView<Scalar>> z, std::span<const Scalar> known,
             RowMap<Scalar>* maps) const {
    thresholds(kernel, z, known, maps);
  }

  template <class Scalar, ExponentialKernel K>
  Scalar nearest_width(const K& kernel) const {
    return Scalar(kernel.width());
  }

  /// With s_j = dp_j/dz_j at fixed tau: dL/dz_j = s_j (g_j - sum s g / sum s). Sums to zero over
  /// the row. For alpha: sum_j (dp_j/dalpha at fixed tau) (g_j - sum s g / sum s).
  template <AdaptiveKernel K, class Scalar>
  void pullback(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dz,
                ParameterGradients<Scalar>& parameters) const {
    if constexpr (std::is_same_v<K, RectifiedPower>) {
      if (kernel.exponent() < 1.0) return detail::pull_steep(kernel, map, t, g, dz, parameters);
    }
    if (t.size() == 1) {
      dz[0] = Scalar(Scalar(0) * g[0]);
      return;
    }
    // dz holds s first. Where coordinates are measured from the edge, the mass is the rounding of a power r, of which
    // slopes, a power r - 1, have less.
    const bool from_edge = K::compact && centre(kernel) == 1.0;
    detail::slopes(kernel, t, from_edge ? map.width : Scalar(map.mass * map.width), dz);
    const Scalar largest = detail::largest(RowView<Scalar>(dz));
    const auto moments_about = [&](const Scalar& origin) {
      return detail::moments(RowView<Scalar>(dz), Scalar(Scalar(1) / largest), g, origin);
    };
    const auto sums = moments_about(Scalar(0));
    auto mean = detail::mean_of(sums, Scalar(0));
    const bool outweighed = detail::outweighs(sums);
    std::size_t steepest = 0;
    if (outweighed) {
      steepest = static_cast<std::size_t>(std::find(dz.begin(), dz.end(), largest) - dz.begin());
      mean = detail::mean_of(moments_about(g[steepest]), g[steepest]);
    }
    if constexpr (AlphaKernel<K>) {
      parameters.alpha += detail::sum_by_deviation(
          g, mean, [&](std::size_t j) { return kernel.adaptive_alpha_derivative(t[j]); });
    }
    if (!outweighed) mean.low = Scalar(0);  // would only be rounded away, once more
    if (outweighed) dz[steepest] = Scalar(0);
    const Scalar others = detail::deviate(dz, g, mean);
    if (outweighed) dz[steepest] = Scalar(-others);
  }

 private:
  /// The similarity at which t = 0, less what rounding may have added to it.
  template <class Scalar>
  static Scalar floor_of(const RowMap<Scalar>& map) {
    const Scalar slack(Scalar(16) * Scalar(Eigen::NumTraits<Scalar>::epsilon()) * (detail::abs(map.pivot) + map.width));
    return Scalar(map.pivot - map.width * map.offset - slack);
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
