// Division by the sum of the weights: what fixed, anchored and nearest-neighbour rows share.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/normalization/underflowing.hpp"

#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The largest of a row's similarities, at least one.
template <class Scalar>
Scalar largest(RowView<Scalar> z) {
  return engine::with_loops<Scalar>([&](auto loops) { return loops.largest(z.data(), static_cast<Index>(z.size())); });
}

/// Sums of kappa and of its derivative over the support of a map.
template <Kernel K, class Scalar>
engine::ProfileSums<Scalar> profile_sums(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> z) {
  return engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    return loops.profile_sums(kernel, map, engine::edge_of<Scalar>(kernel), z.data(), static_cast<Index>(z.size()));
  });
}

/// Calls next(sums), the profile_sums at map.offset, which may move it, for as long as it returns true.
template <Kernel K, class Scalar, class Next>
void descend(const K& kernel, RowMap<Scalar>& map, RowView<Scalar> z, const Next& next) {
  engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    loops.descend(kernel, map, engine::edge_of<Scalar>(kernel), z.data(), static_cast<Index>(z.size()), next);
  });
}

/// The same, in a wider scalar where there is one, the sum of kappa as exact as its terms.
template <Kernel K, class Scalar>
auto exact_sums(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> z) {
  return engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    return loops.exact_sums(kernel, map, engine::edge_of<Scalar>(kernel), z.data(), static_cast<Index>(z.size()));
  });
}

/// Sum of kappa over the support of a map: its mass.
template <Kernel K, class Scalar>
Scalar total_weight(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> z) {
  return static_cast<Scalar>(exact_sums(kernel, map, z).value);
}

/// A map whose pivot sits at the row's largest similarity and at the centre of the kernel.
template <Kernel K, class Scalar>
RowMap<Scalar> at_nearest(const K& kernel, const Scalar& width, RowView<Scalar> z) {
  RowMap<Scalar> map{largest(z), width, Scalar(centre(kernel)), Scalar(1)};
  map.mass = total_weight(kernel, map, z);
  return map;
}

/// A map with a pivot of 0, the similarity at zero distance. Where the total is so small that weights lose digits, or
/// all of them, they are formed relative to the nearest key: under a homogeneous kernel, dividing all coordinates by that
/// key's, 1 + z / width, only moves the pivot there and narrows the width; any other kernel is left to underflowing.hpp.
template <Kernel K, class Scalar>
RowMap<Scalar> at_zero(const K& kernel, const Scalar& width, RowView<Scalar> z) {
  RowMap<Scalar> map{Scalar(0), width, Scalar(centre(kernel)), Scalar(1)};
  map.mass = total_weight(kernel, map, z);
  if constexpr (CompactKernel<K>) {
    const Scalar tiny(Scalar((std::numeric_limits<Scalar>::min)()) / Scalar(Eigen::NumTraits<Scalar>::epsilon()));
    if (map.mass <= tiny) {
      const Scalar nearest = largest(z);
      if (!(nearest > Scalar(-width))) return map;
      if constexpr (HomogeneousKernel<K>) return at_nearest(kernel, Scalar(width + nearest), z);
      map.mass = Scalar(-1);
    }
  }
  return map;
}

/// The coordinate of zero distance, of a map of at_zero.
template <Kernel K, class Scalar>
Scalar zero_distance(const K& kernel, const RowMap<Scalar>& map) {
  if constexpr (ExponentialKernel<K>) {
    return Scalar(centre(kernel));
  } else {
    return map.coordinate(Scalar(0));
  }
}

/// s_j = kappa'(t_j) / divisor, 0 outside the support.
template <Kernel K, class Scalar>
void slopes(const K& kernel, RowView<Scalar> t, const Scalar& divisor, RowOut<Scalar> s) {
  engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    loops.slopes(kernel, engine::edge_of<Scalar>(kernel), divisor, t.data(), static_cast<Index>(t.size()), s.data());
  });
}

/// Sums of factor s_j and of factor s_j (g_j - origin).
template <class Scalar>
engine::Moments<Scalar> moments(RowView<Scalar> s, const Scalar& factor, RowView<Scalar> g, const Scalar& origin) {
  return engine::with_loops<Scalar>(
      [&](auto loops) { return loops.moments(s.data(), factor, g.data(), origin, static_cast<Index>(s.size())); });
}

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

/// s_j *= g_j - mean; returns the sum of what results.
template <class Scalar>
Scalar deviate(RowOut<Scalar> s, RowView<Scalar> g, const Mean<Scalar>& mean) {
  return engine::with_loops<Scalar>(
      [&](auto loops) { return loops.deviate(s.data(), g.data(), mean.high, mean.low, static_cast<Index>(s.size())); });
}

/// p_j = kappa(t_j) / mass, 0 outside the support.
template <Kernel K, class Scalar>
void weights(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) {
  if (underflows<K>(map)) return underflowing_weights(kernel, map, t, p);
  engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    loops.weights(kernel, map, engine::edge_of<Scalar>(kernel), t.data(), static_cast<Index>(t.size()), p.data());
  });
}

/// What a pullback of p_j = kappa(t_j) / mass knows about parameters other than the similarities.
template <class Scalar>
struct CoordinateSums {
  Scalar total{0};    ///< sum of dL/dt_j
  Scalar by_width{0}; ///< sum of dL/dt_j (fixed - t_j): how L falls when the width grows, times the width
};

/// From g = dL/dp to dL/dt_j = kappa'(t_j) (g_j - mean) / mass, written to `dt`. Adds the gradient
/// of alpha. `mean` is 0 where the divisor does not move; `fixed` is the coordinate that stays when the width grows.
template <Kernel K, class Scalar>
CoordinateSums<Scalar> pull_to_coordinates(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> t,
                                           RowView<Scalar> g, const Mean<Scalar>& mean, const Scalar& fixed,
                                           RowOut<Scalar> dt, ParameterGradients<Scalar>& parameters) {
  if (underflows<K>(map)) {
    underflowing_slopes(kernel, t, dt);
  } else {
    slopes(kernel, t, map.mass, dt);
  }
  if constexpr (AlphaKernel<K>) {
    parameters.alpha += sum_by_deviation(g, mean, [&](std::size_t j) {
      return in_support(kernel, t[j]) ? Scalar(kernel.alpha_derivative(t[j]) / map.mass) : Scalar(0);
    });
  }
  deviate(dt, g, mean);
  const auto sums = moments(RowView<Scalar>(dt), Scalar(1), t, fixed);
  return CoordinateSums<Scalar>{static_cast<Scalar>(sums.mass), static_cast<Scalar>(-sums.first)};
}

/// The same for weights that are divided by their own sum: mean = sum p g.
template <Kernel K, class Scalar>
CoordinateSums<Scalar> pull_self_normalized(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> t,
                                            RowView<Scalar> g, const Scalar& fixed, RowOut<Scalar> dt,
                                            ParameterGradients<Scalar>& parameters) {
  weights(kernel, map, t, dt);
  const Mean<Scalar> mean = mean_of(moments(RowView<Scalar>(dt), Scalar(1), g, Scalar(0)), Scalar(0));
  return pull_to_coordinates(kernel, map, t, g, mean, fixed, dt, parameters);
}

/// From dL/dt to dL/dz at a given width.
template <class Scalar>
void divide_by(const Scalar& width, RowOut<Scalar> dz) {
  for (Scalar& dz_j : dz) dz_j = Scalar(dz_j / width);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
