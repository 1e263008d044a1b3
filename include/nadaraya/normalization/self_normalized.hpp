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

/// What a pullback of p_j = kappa(t_j) / mass knows about parameters other than the similarities.
template <class Scalar>
struct CoordinateSums {
  Scalar total{0};    ///< sum of dL/dt_j
  Scalar by_width{0}; ///< sum of dL/dt_j (centre - t_j): how L falls when the width grows, times the width
};

/// From g = dL/dp to dL/dt_j = kappa'(t_j) omega_j, written to `dt`, where omega_j is the gradient
/// of the undivided weight, given by `undivided(g_j)`. Adds the gradient of alpha.
template <Kernel K, class Scalar, class Undivided>
CoordinateSums<Scalar> pull_to_coordinates(const K& kernel, RowView<Scalar> t, RowView<Scalar> g, RowOut<Scalar> dt,
                                           ParameterGradients<Scalar>& parameters, const Undivided& undivided) {
  CoordinateSums<Scalar> sums;
  const auto top = static_cast<Scalar>(centre(kernel));
  for (std::size_t j = 0; j < t.size(); ++j) {
    const Scalar omega = undivided(g[j]);
    dt[j] = Scalar(profile_derivative(kernel, t[j]) * omega);
    sums.total += dt[j];
    sums.by_width += dt[j] * (top - t[j]);
    if constexpr (AlphaKernel<K>) {
      if (in_support(kernel, t[j])) parameters.alpha += kernel.alpha_derivative(t[j]) * omega;
    }
  }
  return sums;
}

/// The same for weights that are divided by their own sum: omega_j = (g_j - sum p g) / mass.
template <Kernel K, class Scalar>
CoordinateSums<Scalar> pull_self_normalized(const K& kernel, const RowMap<Scalar>& map, RowView<Scalar> t,
                                            RowView<Scalar> g, RowOut<Scalar> dt,
                                            ParameterGradients<Scalar>& parameters) {
  const Scalar mean = sum<Scalar>(t.size(), [&](std::size_t j) { return Scalar(weight(kernel, map, t[j]) * g[j]); });
  return pull_to_coordinates(kernel, t, g, dt, parameters,
                             [&](const Scalar& g_j) { return Scalar((g_j - mean) / map.mass); });
}

/// From dL/dt to dL/dz at a given width.
template <class Scalar>
void divide_by(const Scalar& width, RowOut<Scalar> dz) {
  for (Scalar& dz_j : dz) dz_j = Scalar(dz_j / width);
}

}  // namespace nadaraya::detail
