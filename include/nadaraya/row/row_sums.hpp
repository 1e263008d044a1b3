// Sums over one row, by the loops of this machine's tier.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/loops/tiers.hpp"
#include "nadaraya/row/mean.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The largest of a row's similarities, at least one.
template <class Scalar>
Scalar largest(RowView<Scalar> z) {
  return engine::loops<Scalar>().largest(z.data(), static_cast<Index>(z.size()));
}

/// Calls next(sums), with the sums of kappa and of its derivative over the support of the map, whose offset it may move, for
/// as long as it returns true.
template <Kernel K, class Scalar, class Next>
void descend(const K& kernel, RowNormalizer<Scalar>& map, RowView<Scalar> z, const Next& next) {
  engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    loops.descend(kernel, map, engine::edge_of<Scalar>(kernel), z.data(), static_cast<Index>(z.size()), next);
  });
}

/// Those sums in a wider scalar where there is one, that of kappa as exact as its terms.
template <Kernel K, class Scalar>
auto exact_sums(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> z) {
  return engine::with_kernel_loops<K, Scalar>([&](auto loops) {
    return loops.exact_sums(kernel, map, engine::edge_of<Scalar>(kernel), z.data(), static_cast<Index>(z.size()));
  });
}

/// Sum of kappa over the support of a map: its mass.
template <Kernel K, class Scalar>
Scalar total_weight(const K& kernel, const RowNormalizer<Scalar>& map, RowView<Scalar> z) {
  return static_cast<Scalar>(exact_sums(kernel, map, z).value);
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
  return engine::loops<Scalar>().moments(s.data(), factor, g.data(), origin, static_cast<Index>(s.size()));
}

/// s_j *= g_j - mean; returns the sum of what results.
template <class Scalar>
Scalar deviate(RowOut<Scalar> s, RowView<Scalar> g, const Mean<Scalar>& mean) {
  return engine::loops<Scalar>().deviate(s.data(), g.data(), mean.high, mean.low, static_cast<Index>(s.size()));
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
