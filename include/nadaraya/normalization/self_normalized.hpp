// Division by the sum of the weights: what fixed, anchored and nearest-neighbour rows share.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/engine/tiers.hpp"
#include "nadaraya/normalization/row_map.hpp"

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

/// Sum of kappa over the support of a map: its mass.
template <Kernel K, class Scalar>
Scalar total_weight(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> z) {
  return profile_sums(kernel, map, z).value;
}

/// A map whose pivot sits at the row's largest similarity and at the centre of the kernel.
template <Kernel K, class Scalar>
RowMap<Scalar> at_nearest(const K& kernel, const Scalar& width, RowView<Scalar> z) {
  RowMap<Scalar> map{largest(z), width, Scalar(centre(kernel)), Scalar(1)};
  map.mass = total_weight(kernel, map, z);
  return map;
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

/// s_j *= (g_j - origin) - mean; returns the sum of what results.
template <class Scalar>
Scalar deviate(RowOut<Scalar> s, RowView<Scalar> g, const Scalar& origin, const Scalar& mean) {
  return engine::with_loops<Scalar>(
      [&](auto loops) { return loops.deviate(s.data(), g.data(), origin, mean, static_cast<Index>(s.size())); });
}

/// What a pullback of p_j = kappa(t_j) / mass knows about parameters other than the similarities.
template <class Scalar>
struct CoordinateSums {
  Scalar total{0};    ///< sum of dL/dt_j
  Scalar by_width{0}; ///< sum of dL/dt_j (centre - t_j): how L falls when the width grows, times the width
};

/// From g = dL/dp to dL/dt_j = kappa'(t_j) (g_j - mean) / mass, written to `dt`. Adds the gradient
/// of alpha. `mean` is 0 where the divisor does not move.
template <Kernel K, class Scalar>
CoordinateSums<Scalar> pull_to_coordinates(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> t,
                                           RowView<Scalar> g, const Scalar& mean, RowOut<Scalar> dt,
                                           ParameterGradients<Scalar>& parameters) {
  slopes(kernel, t, map.mass, dt);
  if constexpr (AlphaKernel<K>) {
    for (std::size_t j = 0; j < t.size(); ++j) {
      if (in_support(kernel, t[j])) parameters.alpha += kernel.alpha_derivative(t[j]) * Scalar((g[j] - mean) / map.mass);
    }
  }
  deviate(dt, g, mean, Scalar(0));
  const auto sums = moments(RowView<Scalar>(dt), Scalar(1), t, static_cast<Scalar>(centre(kernel)));
  return CoordinateSums<Scalar>{sums.mass, Scalar(-sums.first)};
}

/// The same for weights that are divided by their own sum: mean = sum p g.
template <Kernel K, class Scalar>
CoordinateSums<Scalar> pull_self_normalized(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> t,
                                            RowView<Scalar> g, RowOut<Scalar> dt,
                                            ParameterGradients<Scalar>& parameters) {
  engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    loops.weights(kernel, map, engine::edge_of<Scalar>(kernel), t.data(), static_cast<Index>(t.size()), dt.data());
  });
  const Scalar mean = moments(RowView<Scalar>(dt), Scalar(1), g, Scalar(0)).first;
  return pull_to_coordinates(kernel, map, t, g, mean, dt, parameters);
}

/// From dL/dt to dL/dz at a given width.
template <class Scalar>
void divide_by(const Scalar& width, RowOut<Scalar> dz) {
  for (Scalar& dz_j : dz) dz_j = Scalar(dz_j / width);
}

}  // namespace nadaraya::detail
