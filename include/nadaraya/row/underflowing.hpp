// Rows whose weights the scalar in use can hold, but not what the weights are formed from.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"

#include <cstddef>
#include <span>
#include <type_traits>

// The map of such a row has a negative mass:
//   * -1: the total of a kernel that is not homogeneous underflows. Its profile is taken in a wider scalar, where there is
//     one; if it underflows there too, the nearest keys share the row, and no gradient reaches it.
//   * minus the weight of the keys at the pivot, under the adaptive normalization and a power below 1, whose coordinate,
//     the map's offset, may underflow: their weight stands in its place, with a minus sign.

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

template <class K>
inline constexpr bool may_underflow = CompactKernel<K> && (!HomogeneousKernel<K> || std::is_same_v<K, RectifiedPower>);

/// Is the row one of those?
template <class K, class Scalar>
bool underflows(const RowNormalizer<Scalar>& map) {
  if constexpr (may_underflow<K>) {
    return map.mass < Scalar(0);
  } else {
    return false;
  }
}

/// Coordinates of such a row, 0 for a power outside the support.
template <Kernel K, class Scalar>
Scalar underflowing_coordinate(const K& kernel, const RowNormalizer<Scalar>& map, const Scalar& z) {
  if constexpr (std::is_same_v<K, RectifiedPower>) {
    const Scalar above((z - map.pivot) / map.width);
    return above > Scalar(0) ? Scalar(above + map.offset) : above < Scalar(0) ? Scalar(0) : map.mass;
  } else {
    (void)kernel;
    return map.coordinate(z);
  }
}

/// body(profile, derivative, total), functions of a coordinate in a wider scalar, and the total of the former.
template <Kernel K, class Scalar, class Body>
void with_wider_profile(const K& kernel, RowView<Scalar> t, const Body& body) {
  using Wide = engine::Wide<Scalar>;
  const auto value = [&](const Scalar& t_j) { return in_support(kernel, t_j) ? Wide(kernel.profile(Wide(t_j))) : Wide(0); };
  const auto slope = [&](const Scalar& t_j) { return profile_derivative(kernel, Wide(t_j)); };
  const auto total = sum<Wide>(t.size(), [&](std::size_t j) { return value(t[j]); });
  if (total > Wide(0)) return body(value, slope, total);
  Scalar nearest = t[0];
  for (const Scalar& t_j : t) nearest = nearest < t_j ? t_j : nearest;
  const auto is_nearest = [&](const Scalar& t_j) { return t_j < nearest ? Wide(0) : Wide(1); };
  body(is_nearest, [](const Scalar&) { return Wide(0); }, sum<Wide>(t.size(), [&](std::size_t j) { return is_nearest(t[j]); }));
}

/// p may be t.
template <Kernel K, class Scalar>
void underflowing_weights(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowOut<Scalar> p) {
  if constexpr (std::is_same_v<K, RectifiedPower>) {
    for (std::size_t j = 0; j < t.size(); ++j) p[j] = t[j] > Scalar(0) ? Scalar(kernel.profile(t[j])) : Scalar(-t[j]);
  } else {
    (void)map;
    with_wider_profile(kernel, t, [&](const auto& value, const auto&, const auto& total) {
      for (std::size_t j = 0; j < t.size(); ++j) p[j] = static_cast<Scalar>(value(t[j]) / total);
    });
  }
}

/// kappa'(t_j) / total, of a kernel that is not homogeneous.
template <Kernel K, class Scalar>
void underflowing_slopes(const K& kernel, RowView<Scalar> t, RowOut<Scalar> s) {
  with_wider_profile(kernel, t, [&](const auto&, const auto& slope, const auto& total) {
    for (std::size_t j = 0; j < t.size(); ++j) s[j] = static_cast<Scalar>(slope(t[j]) / total);
  });
}

/// Reduces such a row to its support, or keeps all keys, as the loops' weigh does; returns its size.
template <Kernel K, class Scalar>
std::size_t weigh_underflowing(const K& kernel, const RowNormalizer<Scalar>& map, bool keep_all, Scalar* z, KeyIndex* key,
                               std::size_t n, Scalar* p) {
  std::size_t kept = 0;
  for (std::size_t j = 0; j < n; ++j) {
    const Scalar t = underflowing_coordinate(kernel, map, z[j]);
    const bool supported = std::is_same_v<K, RectifiedPower> ? !(t == Scalar(0)) : in_support(kernel, t);
    if (!keep_all && !supported) continue;
    z[kept] = t;
    key[kept++] = key[j];
  }
  underflowing_weights(kernel, map, RowView<Scalar>(z, kept), RowOut<Scalar>(p, kept));
  return kept;
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
