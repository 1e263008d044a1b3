// Division by the sum of the weights: what fixed, anchored and nearest-neighbour rows share.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/loops/tiers.hpp"
#include "nadaraya/row/mean.hpp"
#include "nadaraya/row/row_sums.hpp"
#include "nadaraya/row/underflowing.hpp"

#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// A map whose pivot sits at the row's largest similarity and at the centre of the kernel.
template <Kernel K, class Scalar>
RowNormalizer<Scalar> at_nearest(const K& kernel, const Scalar& width, RowView<Scalar> z) {
  RowNormalizer<Scalar> map{largest(z), width, Scalar(centre(kernel)), Scalar(1)};
  map.mass = total_weight(kernel, map, z);
  return map;
}

/// A map with a pivot of 0, the similarity at zero distance. Where the total is so small that weights lose digits, or
/// all of them, they are formed relative to the nearest key: under a homogeneous kernel, dividing all coordinates by that
/// key's, 1 + z / width, only moves the pivot there and narrows the width; any other kernel is left to underflowing.hpp.
template <Kernel K, class Scalar>
RowNormalizer<Scalar> at_zero(const K& kernel, const Scalar& width, RowView<Scalar> z) {
  RowNormalizer<Scalar> map{Scalar(0), width, Scalar(centre(kernel)), Scalar(1)};
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
Scalar zero_distance(const K& kernel, const RowNormalizer<Scalar>& map) {
  if constexpr (ExponentialKernel<K>) {
    return Scalar(centre(kernel));
  } else {
    return map.coordinate(Scalar(0));
  }
}

/// p_j = kappa(t_j) / mass, 0 outside the support.
template <Kernel K, class Scalar>
void weights(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) {
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
CoordinateSums<Scalar> pull_to_coordinates(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t,
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
CoordinateSums<Scalar> pull_self_normalized(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t,
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
