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
  X(parallel_for) X(concurrency) X(scratch)

/// T and some names: one that T has as well is ambiguous, be it a function, overloaded, a template, data, a type, or private.
template <class T, class Names, bool = std::is_class_v<T> && !std::is_final_v<T>>
struct WithNames : T, Names {};

/// Nothing can be derived from a final class: a name that it has is found if its address can be taken.
template <class T, class Names>
struct WithNames<T, Names, false> : Names {};

#define NADARAYA_DECLARE(name) int name;
struct AllNames {
  NADARAYA_MEMBERS(NADARAYA_DECLARE)
};
#undef NADARAYA_DECLARE

#define NADARAYA_NAMED(name)                                                          \
  template <class T>                                                                  \
  concept Names_##name = !requires { &WithNames<T, AllNames>::name; } || requires { &T::name; };
NADARAYA_MEMBERS(NADARAYA_NAMED)
#undef NADARAYA_NAMED

#undef NADARAYA_MEMBERS

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
