// What a normalization is: the rule that gives a row its bandwidth and its divisor.
#pragma once

#include "nadaraya/detail/members.hpp"
#include "nadaraya/detail/misspellings.hpp"
#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/loops/row_normalizer.hpp"

#include <concepts>
#include <span>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A normalization turns the similarities of one row into a RowNormalizer, and later a gradient of the
/// row's weights into one of its similarities. Together with a kernel it is the *row rule*.
///
/// A model has, for every kernel and scalar it supports (`factor` is the similarity's
/// distance_factor: squared distance = -factor z; it is 0 for a similarity that is no distance),
///   S floor(kernel, factor, RowView<S> z, S floor_bound) const
///       a bound at or below which no similarity of the row can have weight, whatever keys are still to
///       come, given those seen so far (perhaps none) that are above `floor_bound`, such a bound already;
///       -infinity if there is none
///   RowNormalizer<S> solve(kernel, factor, RowView<S> z, S floor_bound) const
///       z: the candidates above the bound `floor_bound`, at least one, none NaN or infinite
///   void pullback(kernel, map, RowView<S> t, RowView<S> g, RowOut<S> dz, ParameterGradients<S>&) const
///       t: coordinates of the keys that were kept; g = dL/dp; writes dz = dL/dz, adds parameters'
/// and may have
///   template <S> void validate(double factor) const     throws if a parameter has no meaning
///   template <K, Similarity, Mask> static constexpr void check()   static_asserts on combinations
///   number bandwidth                            data, a gradient of which is taken; see HasBandwidth
///   static constexpr bool selects, void select(kernel, CandidateRow<S>&) const     keeps part of the candidates, by rank
///   S nearest_width<S>(kernel) const            see NearestNormalization
///   void floors(kernel, std::span<const RowView<S>> z, std::span<const S> floor_bound, S* floors) const
///   void solve(kernel, std::span<const RowView<S>> z, std::span<const S> floor_bound, RowNormalizer<S>* maps) const
///       the same as `floor` and `solve` for a group of short rows at once
/// Operators do not compile where a member of one of these names has another signature, or where a name comes close.
///
/// Laws: the floor never cuts a key that has weight, also where it is that of smaller similarities than
/// the row's; weights are non-negative; the pullback agrees
/// with finite differences of the weights; permuting the row permutes the weights.
template <class N, class K, class Scalar>
concept NormalizationOf = std::copyable<N> && Kernel<K> &&
    requires(const N normalization, const K kernel, double factor, RowView<Scalar> in, RowOut<Scalar> out,
             const Scalar floor_bound, const RowNormalizer<Scalar> map, ParameterGradients<Scalar>& parameters) {
      { normalization.floor(kernel, factor, in, floor_bound) } -> std::same_as<Scalar>;
      { normalization.solve(kernel, factor, in, floor_bound) } -> std::same_as<RowNormalizer<Scalar>>;
      normalization.pullback(kernel, map, in, in, out, parameters);
    };

/// A normalization that picks candidates by rank before weighing them.
template <class N>
concept SelectingNormalization = requires { requires N::selects; };

/// A normalization that looks at some rows at once, under this kernel.
template <class N, class K, class Scalar>
concept ManyRows = requires(const N normalization, const K kernel, std::span<const RowView<Scalar>> z,
                            std::span<const Scalar> floor_bound, Scalar* floors, RowNormalizer<Scalar>* maps) {
  normalization.floors(kernel, z, floor_bound, floors);
  normalization.solve(kernel, z, floor_bound, maps);
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

template <class Scalar>
class CandidateRow;

namespace detail {

template <class N, class K>
concept ManyRowsOfAny = ManyRows<N, K, float> || ManyRows<N, K, double>;
template <class N, class K>
concept NearestOfAny = NearestNormalization<N, K, float> || NearestNormalization<N, K, double>;

/// Says which member of a normalization is missing, or is there with another signature and would be ignored. Those that are
/// templates may be for some kernels and scalars only: they have to fit this kernel or a built-in one.
template <class N, class K, class Scalar>
constexpr bool check_normalization() {
  static_assert(std::copyable<N>, "normalization: must be copyable");
  static_assert(requires(const N n, const K kernel, double factor, RowView<Scalar> z, const Scalar floor_bound) {
                  { n.floor(kernel, factor, z, floor_bound) } -> std::same_as<Scalar>;
                },
                "normalization: S floor(const K& kernel, double factor, RowView<S> z, const S& floor_bound) const is missing, or "
                "has another signature, or is not for this kernel");
  static_assert(requires(const N n, const K kernel, double factor, RowView<Scalar> z, const Scalar floor_bound) {
                  { n.solve(kernel, factor, z, floor_bound) } -> std::same_as<RowNormalizer<Scalar>>;
                },
                "normalization: RowNormalizer<S> solve(const K& kernel, double factor, RowView<S> z, const S& floor_bound) const is "
                "missing, or has another signature, or is not for this kernel");
  static_assert(requires(const N n, const K kernel, const RowNormalizer<Scalar> map, RowView<Scalar> t, RowOut<Scalar> dz,
                         ParameterGradients<Scalar>& parameters) { n.pullback(kernel, map, t, t, dz, parameters); },
                "normalization: void pullback(const K& kernel, const RowNormalizer<S>& map, RowView<S> t, RowView<S> g, RowOut<S> dz, "
                "ParameterGradients<S>&) const is missing, or has another signature, or is not for this kernel");
  if constexpr (NormalizationOf<N, K, Scalar> && !has_constrained_members<N>) {
    static_assert(!Names_validate<N> || requires(const N n) { n.template validate<Scalar>(0.0); },
                  "normalization: validate must be template <class S> void validate(double factor) const");
    static_assert(!Names_selects<N> || requires { typename Flag<N::selects>; },
                  "normalization: selects must be a static constexpr bool");
    static_assert(!Names_select<N> || Names_selects<N>,
                  "normalization: select does nothing without static constexpr bool selects = true");
    static_assert(!SelectingNormalization<N> || requires(const N n, const K kernel, CandidateRow<Scalar>& row) { n.select(kernel, row); },
                  "normalization: selects takes void select(const K& kernel, CandidateRow<S>& row) const, which is missing, or has another "
                  "signature");
    static_assert(!Names_bandwidth<N> || HasBandwidth<N>,
                  "normalization: bandwidth must be data that converts to double; its gradient is taken then");
    static_assert(!Names_floors<N> || ManyRowsOfAny<N, K> || ManyRowsOfAny<N, Epanechnikov> || ManyRowsOfAny<N, Biweight> ||
                      ManyRowsOfAny<N, Triweight> || ManyRowsOfAny<N, Gaussian> || ManyRowsOfAny<N, Uniform> ||
                      ManyRowsOfAny<N, RectifiedPower>,
                  "normalization: void floors(const K& kernel, std::span<const RowView<S>> z, std::span<const S> floor_bound, S* floors) "
                  "const and solve(kernel, z, floor_bound, RowNormalizer<S>* maps) go together; one is missing, or has another signature");
    static_assert(Names_floors<N> || !requires(const N n, const K kernel, std::span<const RowView<Scalar>> z,
                                               std::span<const Scalar> floor_bound, RowNormalizer<Scalar>* maps) {
      n.solve(kernel, z, floor_bound, maps);
    }, "normalization: solve for many rows takes floors for many rows as well");
    static_assert(!Names_nearest_width<N> || NearestOfAny<N, K> || NearestOfAny<N, Epanechnikov> || NearestOfAny<N, Biweight> ||
                      NearestOfAny<N, Gaussian> || NearestOfAny<N, Uniform> || NearestOfAny<N, RectifiedPower>,
                  "normalization: nearest_width must be template <class S, Kernel K> S nearest_width(const K& kernel) const");
    static_assert(Names_selects<N> || !Misspells_selects<N>, "normalization: is a member selects misspelt?");
    static_assert(Names_bandwidth<N> || !Misspells_bandwidth<N>, "normalization: is a member bandwidth misspelt?");
    static_assert(Names_nearest_width<N> || !Misspells_nearest_width<N>,
                  "normalization: is a member nearest_width(const K& kernel) misspelt?");
    static_assert(Names_check<N> || !Misspells_check<N>, "normalization: is a member check() misspelt?");
    static_assert(Names_validate<N> || !Misspells_validate<N>, "normalization: is a member validate(double factor) misspelt?");
  }
  return true;
}

/// Whether a normalization's own check of a combination, if it has any, can be called.
template <class N, class K, class Similarity, class Mask>
constexpr bool check_combination() {
  if constexpr (requires { N::template check<K, Similarity, Mask>(); }) {
    N::template check<K, Similarity, Mask>();
  } else if constexpr (!has_constrained_members<N>) {
    static_assert(!Names_check<N>,
                  "normalization: check must be template <class K, class Similarity, class Mask> static constexpr void check()");
  }
  return true;
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
