// What a normalization is: the rule that gives a row its bandwidth and its divisor.
#pragma once

#include "nadaraya/normalization/row_map.hpp"

#include <concepts>
#include <span>

namespace nadaraya {

/// A normalization turns the similarities of one row into a RowMap, and later a gradient of the
/// row's weights into one of its similarities. Together with a kernel it is the *row rule*.
///
/// A model has, for every kernel and scalar it supports (`factor` is the similarity's
/// distance_factor: squared distance = -factor z; it is 0 for a similarity that is no distance),
///   S floor(kernel, factor, RowView<S> z, S known) const
///       a bound at or below which no similarity of the row can have weight, whatever keys are still to
///       come, given those seen so far (perhaps none) that are above `known`, such a bound already;
///       -infinity if nothing is known
///   RowMap<S> solve(kernel, factor, RowView<S> z, S known) const
///       z: the candidates above the bound `known`, at least one, none NaN or infinite
///   void pullback(kernel, map, RowView<S> t, RowView<S> g, RowOut<S> dz, ParameterGradients<S>&) const
///       t: coordinates of the keys that were kept; g = dL/dp; writes dz = dL/dz, adds parameters'
/// and may have
///   void validate() const                       throws if a parameter has no meaning
///   template <K, Similarity, Mask> static constexpr void check()   static_asserts on combinations
///   void select(Row<S>&) const                  keeps part of the candidates, by rank
///   void floors(kernel, std::span<const RowView<S>> z, std::span<const S> known, S* floors) const
///   void solve(kernel, std::span<const RowView<S>> z, std::span<const S> known, RowMap<S>* maps) const
///       the same as `floor` and `solve` for up to engine::most_rows_at_once short rows at once
///
/// Laws: the floor never cuts a key that has weight, also where it is that of smaller similarities than
/// the row's; weights are non-negative; the pullback agrees
/// with finite differences of the weights; permuting the row permutes the weights.
template <class N, class K, class Scalar>
concept NormalizationOf = std::copyable<N> && Kernel<K> &&
    requires(const N normalization, const K kernel, double factor, RowView<Scalar> in, RowOut<Scalar> out,
             const Scalar known, const RowMap<Scalar> map, ParameterGradients<Scalar>& parameters) {
      { normalization.floor(kernel, factor, in, known) } -> std::same_as<Scalar>;
      { normalization.solve(kernel, factor, in, known) } -> std::same_as<RowMap<Scalar>>;
      normalization.pullback(kernel, map, in, in, out, parameters);
    };

/// A normalization that picks candidates by rank before weighing them.
template <class N>
concept SelectingNormalization = requires { requires N::selects; };

/// A normalization that looks at some rows at once, under this kernel.
template <class N, class K, class Scalar>
concept ManyRows = requires(const N normalization, const K kernel, std::span<const RowView<Scalar>> z,
                            std::span<const Scalar> known, Scalar* floors, RowMap<Scalar>* maps) {
  normalization.floors(kernel, z, known, floors);
  normalization.solve(kernel, z, known, maps);
};

/// A normalization that measures from the nearest key, with a width known in advance, and divides by
/// the sum: solve returns detail::at_nearest(kernel, nearest_width<S>(kernel), z). Under an exponential
/// kernel its sums can then be formed key by key.
template <class N, class K, class Scalar>
concept NearestNormalization = requires(const N normalization, const K kernel) {
  { normalization.template nearest_width<Scalar>(kernel) } -> std::same_as<Scalar>;
};

/// A normalization with a bandwidth to differentiate by.
template <class N>
concept HasBandwidth = requires(const N n) {
  { n.bandwidth } -> std::convertible_to<double>;
};

}  // namespace nadaraya
