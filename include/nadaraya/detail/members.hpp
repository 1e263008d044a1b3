// Does a class have a member of some name, whatever it is? So that an optional member of another signature is refused
// instead of ignored.
#pragma once

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A policy template whose optional members depend on its parameters (`bool visible(...) const requires ...`) says so
/// by a specialization that is true, as does one that deletes an optional member it inherits: a name that is there and
/// cannot be called would otherwise be refused.
template <class Policy>
inline constexpr bool has_constrained_members = false;

namespace detail {

/// Flag<T::name> names a type if the member is a constant like `static constexpr bool name = true`, and no function.
template <auto value>
  requires(std::is_convertible_v<decltype(value), bool> && !std::is_pointer_v<decltype(value)>)
using Flag = std::bool_constant<static_cast<bool>(value)>;

// Every optional member of a policy, and those that are required.
#define NADARAYA_MEMBERS(X)                                                                                               \
  X(compact) X(profile) X(derivative) X(exponential) X(homogeneous) X(elementwise) X(width) X(alpha)                       \
  X(alpha_derivative) X(adaptive_alpha_derivative) X(centre) X(validate)                                                   \
  X(score) X(pullback) X(has_scale) X(scale_pullback) X(prepared) X(prepared_pullback) X(is_product) X(product_bound)      \
  X(radius) X(distance_factor) X(zero_gradient) X(parameter_pullback)                                                       \
  X(range) X(visible) X(bias) X(bias_pullback)                                                                             \
  X(floor) X(solve) X(check) X(select) X(selects) X(floors) X(nearest_width) X(bandwidth)                                  \
  X(parallel_for) X(serial)

// Likely misspellings of optional members whose loss nothing else would show: a letter left out, twice, or exchanged with
// its neighbour, what sounds alike, and other conventions. C++ cannot list a class's members, only ask for a name.
#define NADARAYA_MISSPELT_VISIBLE(X)                                                                                      \
  X(isible) X(vsible) X(viible) X(visble) X(visile) X(visibe) X(visibl) X(ivsible) X(vsiible) X(viisble) X(visbile)        \
  X(visilbe) X(visibel) X(vvisible) X(viisible) X(vissible) X(visiible) X(visibble) X(visiblle) X(visiblee) X(visable)     \
  X(visabel) X(vissable) X(visibile) X(visibal) X(vesible) X(vizible) X(visivle) X(visinle) X(Visible) X(VISIBLE)          \
  X(is_visible) X(isVisible) X(IsVisible) X(visibility) X(visibles) X(visible_) X(invisible)
#define NADARAYA_MISSPELT_BIAS(X)                                                                                         \
  X(ias) X(bas) X(bia) X(ibas) X(bais) X(bisa) X(bbias) X(biias) X(biaas) X(biass) X(bies) X(byas) X(baias) X(biase)       \
  X(Bias) X(BIAS) X(biases) X(get_bias) X(getBias) X(add_bias) X(additive_bias) X(bias_of)
#define NADARAYA_MISSPELT_VALIDATE(X)                                                                                     \
  X(alidate) X(vlidate) X(vaidate) X(valdate) X(valiate) X(validte) X(validae) X(validat) X(vaildate) X(valiadte)          \
  X(vallidate) X(validdate) X(validatte) X(Validate) X(validates)
#define NADARAYA_MISSPELT_CENTRE(X) X(center) X(centr) X(cetre) X(cnetre) X(cenrte) X(centere) X(Centre) X(Center)
#define NADARAYA_MISSPELT_WIDTH(X) X(wdth) X(widh) X(witdh) X(widht) X(wdith) X(widthh) X(with_) X(Width)
#define NADARAYA_MISSPELT(X)                                                                                              \
  NADARAYA_MISSPELT_VISIBLE(X)                                                                                            \
  NADARAYA_MISSPELT_BIAS(X) NADARAYA_MISSPELT_VALIDATE(X) NADARAYA_MISSPELT_CENTRE(X) NADARAYA_MISSPELT_WIDTH(X)

#define NADARAYA_DECLARE(name) int name;
struct AllNames {
  NADARAYA_MEMBERS(NADARAYA_DECLARE)
  NADARAYA_MISSPELT(NADARAYA_DECLARE)
};
#undef NADARAYA_DECLARE

/// A name that T has as well is ambiguous here, be it a function, overloaded, a template, data, a type, or private.
template <class T, bool = std::is_class_v<T> && !std::is_final_v<T>>
struct WithAllNames : T, AllNames {};

/// Nothing can be derived from a final class: a name that it has is found if its address can be taken.
template <class T>
struct WithAllNames<T, false> : AllNames {};

#define NADARAYA_NAMED(name)                                                          \
  template <class T>                                                                  \
  concept Names_##name = !requires { &WithAllNames<T>::name; } || requires { &T::name; };
NADARAYA_MEMBERS(NADARAYA_NAMED)
NADARAYA_MISSPELT(NADARAYA_NAMED)
#undef NADARAYA_NAMED

#define NADARAYA_OR_NAMED(name) || Names_##name<T>
template <class T>
concept MisspellsVisible = false NADARAYA_MISSPELT_VISIBLE(NADARAYA_OR_NAMED);
template <class T>
concept MisspellsBias = false NADARAYA_MISSPELT_BIAS(NADARAYA_OR_NAMED);
template <class T>
concept MisspellsValidate = false NADARAYA_MISSPELT_VALIDATE(NADARAYA_OR_NAMED);
template <class T>
concept MisspellsCentre = false NADARAYA_MISSPELT_CENTRE(NADARAYA_OR_NAMED);
template <class T>
concept MisspellsWidth = false NADARAYA_MISSPELT_WIDTH(NADARAYA_OR_NAMED);
#undef NADARAYA_OR_NAMED

#undef NADARAYA_MISSPELT
#undef NADARAYA_MISSPELT_WIDTH
#undef NADARAYA_MISSPELT_CENTRE
#undef NADARAYA_MISSPELT_VALIDATE
#undef NADARAYA_MISSPELT_BIAS
#undef NADARAYA_MISSPELT_VISIBLE
#undef NADARAYA_MEMBERS

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
