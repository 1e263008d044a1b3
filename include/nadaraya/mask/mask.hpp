// What a mask is: which keys exist for a query, and optionally a bias on their similarity.
#pragma once

#include "nadaraya/detail/members.hpp"
#include "nadaraya/detail/misspellings.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/types.hpp"

#include <concepts>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A mask names, for each query, a range of keys outside which nothing is visible:
///   KeyRange range(Index query, const Extent& n) const
/// and may have
///   bool visible(Index query, Index key, const Extent& n) const     which keys of the range count
///   number bias(Index query, Index key, const Extent& n) const      added to their similarity
///   void validate(const Extent& n) const                            throws if it does not fit
///   G zero_gradient<S>() const, void bias_pullback(query, key, n, S dz, G& sum) const
///                                                the gradient of parameters of the bias; see ParametricBias
///
/// A key that is not visible does not exist for the query: its similarity is not looked at, its
/// value is not read, and no gradient reaches it. There is no sentinel and no multiplication by
/// zero, so NaN in a masked key or value goes nowhere. A bias of -infinity hides a key as well.
///
/// Operators do not compile where a member of one of these names cannot be called like that, or where a name comes close
/// (visable, is_visible, bais). Any other name is the mask's own. So that no misspelling passes for a mask without the
/// member, say next to yours which it is:
///   static_assert(nadaraya::HoledMask<MyMask>);    // or BiasMask, or ParametricBias<MyMask, float>
template <class M>
concept Mask = std::copy_constructible<M> && requires(const M mask, Index i, const Extent n) {
  { mask.range(i, n) } -> std::same_as<KeyRange>;
};

/// A mask with holes in its ranges.
template <class M>
concept HoledMask = Mask<M> && requires(const M mask, Index i, const Extent n) {
  { mask.visible(i, i, n) } -> std::convertible_to<bool>;
};

/// A mask that shifts similarities.
template <class M>
concept BiasMask = Mask<M> && requires(const M mask, Index i, const Extent n) {
  requires !std::is_void_v<decltype(mask.bias(i, i, n))>;
};

/// A bias with parameters to differentiate by. It also has
///   G zero_gradient<S>() const     a gradient by the parameters, all zero; G is copyable and has +=
///   void bias_pullback(Index query, Index key, const Extent& n, const S& dz, G& sum) const     adds dz times dbias/dparameters
/// Backward calls bias_pullback once for every pair whose dz is not zero, from any thread, sums over some queries at a
/// time and adds these sums in the order of the queries: `grads.bias` does not depend on the number of threads.
/// Memory: a gradient for every 96 queries.
template <class M, class Scalar>
concept ParametricBias = BiasMask<M> && requires(const M mask, Index i, const Extent n, const Scalar dz,
                                                 decltype(mask.template zero_gradient<Scalar>()) sum) {
  mask.bias_pullback(i, i, n, dz, sum);
  sum += sum;
};

/// Whether a key of the mask's range is visible.
template <Mask M>
bool is_visible(const M& mask, Index query, Index key, const Extent& n) {
  if constexpr (HoledMask<M>) {
    return mask.visible(query, key, n);
  } else {
    return true;
  }
}

/// Every key is visible to every query.
struct NoMask {
  KeyRange range(Index, const Extent& n) const { return n.clip(0, n.keys); }  ///< All keys.
};

namespace detail {

/// Says which member of a mask is missing, or is there with another signature and would be ignored.
template <class M>
constexpr bool check_mask() {
  static_assert(std::copy_constructible<M>, "mask: must be copyable");
  static_assert(requires(const M mask, Index i, const Extent n) { { mask.range(i, n) } -> std::same_as<KeyRange>; },
                "mask: KeyRange range(Index query, const Extent& n) const is missing, or has another signature");
  if constexpr (Mask<M> && !has_constrained_members<M>) {
    static_assert(!Names_visible<M> || HoledMask<M>,
                  "mask: visible must be bool visible(Index query, Index key, const Extent& n) const");
    static_assert(!Names_bias<M> || BiasMask<M>,
                  "mask: bias must be a number bias(Index query, Index key, const Extent& n) const");
    static_assert(!Names_validate<M> || requires(const M mask, const Extent n) { mask.validate(n); },
                  "mask: validate must be void validate(const Extent& n) const");
    static_assert(!(Names_zero_gradient<M> || Names_bias_pullback<M>) || ParametricBias<M, double> || ParametricBias<M, float>,
                  "mask: bias, template <class S> G zero_gradient() const and void bias_pullback(Index query, Index key, const "
                  "Extent& n, const S& dz, G& sum) const go together, and G has +=; one is missing, or has another signature");
    static_assert(Names_visible<M> || !Misspells_visible<M>,
                  "mask: is a member visible(Index query, Index key, const Extent& n) misspelt?");
    static_assert(Names_bias<M> || !Misspells_bias<M>,
                  "mask: is a member bias(Index query, Index key, const Extent& n) misspelt?");
    static_assert(Names_validate<M> || !Misspells_validate<M>, "mask: is a member validate(const Extent& n) misspelt?");
    static_assert(Names_zero_gradient<M> || !Misspells_zero_gradient<M>, "mask: is a member zero_gradient() misspelt?");
  }
  return true;
}

/// True if a policy is meant as a mask, not as a similarity. Required members decide, then any of their names.
template <class P>
concept MeantAsMask = Mask<P> || Names_range<P> || Names_visible<P> || Names_bias<P>;

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
