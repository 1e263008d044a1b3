// What a kernel is: a profile of the distance, measured from the edge of the support.
#pragma once

#include "nadaraya/detail/members.hpp"
#include "nadaraya/detail/misspellings.hpp"
#include "nadaraya/types.hpp"

#include <concepts>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A kernel says how much a key counts at distance u (in bandwidths). It is written as a function
/// of the *compact coordinate* t = 1 - u^2: 1 at zero distance, 0 at the edge of the support.
///
/// A model has
///   static constexpr bool compact;                       // zero for t <= 0?
///   template <class S> S profile(S t) const;             // kappa(t)
///   template <class S> S derivative(S t) const;          // kappa'(t)
/// and may have
///   double width() const;                                // AdaptiveKernel
///   static constexpr bool exponential, homogeneous, elementwise;   // ExponentialKernel, HomogeneousKernel, ElementwiseKernel
///   double alpha() const; S alpha_derivative(S t) const; S adaptive_alpha_derivative(S t) const;   // AlphaKernel
///   double centre() const;                               // the coordinate of zero distance
///   void validate() const;                               // throws if a parameter has no meaning; may be a template by S
/// Operators do not compile where a member of one of these names has another signature, or where a name comes close. No
/// misspelling at all passes where a line next to yours says static_assert(nadaraya::AdaptiveKernel<MyKernel>).
///
/// Laws (checked by tests/support/laws.hpp for every built-in kernel, and for yours if you ask):
///   * profile is finite, non-negative and non-decreasing in t on (0, 1], and profile(1) = 1;
///   * derivative is its derivative there;
///   * a compact kernel counts as zero for t <= 0. The library never calls it there, so the
///     formula need not handle it.
/// Functions return the scalar they were given, so that automatic differentiation goes through.
template <class K>
concept Kernel = std::copyable<K> && requires(const K kernel, double t) {
  typename detail::Flag<K::compact>;
  { kernel.profile(t) } -> std::same_as<double>;
  { kernel.derivative(t) } -> std::same_as<double>;
};

/// A kernel with bounded support.
template <class K>
concept CompactKernel = Kernel<K> && K::compact;

/// A kernel that adaptive normalization can use: it also has
///   double width() const;     // the similarity per unit of t: t_j = z_j / width - tau
/// For a compact kernel this is how far below the best key another may fall and still count:
/// 1/(alpha - 1) for alpha-entmax. Law: profile falls to 0 continuously at t = 0 (or, for a kernel
/// without edge, as t -> -infinity), so that a tau with total weight one exists.
template <class K>
concept AdaptiveKernel = Kernel<K> && requires(const K kernel) {
  { kernel.width() } -> std::convertible_to<double>;
};

/// A kernel for which moving the coordinate only rescales the profile: the Gaussian.
/// Law: profile(t + s) profile(t') = profile(t) profile(t' + s). Weights that are divided by their
/// sum may then be computed relative to the nearest key, where nothing underflows.
template <class K>
concept ExponentialKernel = Kernel<K> && !K::compact && requires { requires K::exponential; };

/// A compact kernel that is a power of t, so that a common factor of all coordinates only rescales the profile, and that
/// says so:
///   static constexpr bool homogeneous = true;
/// Law: profile(s t) = profile(s) profile(t), with t = 1 at zero distance. Weights that are divided by their sum may then
/// be computed relative to the nearest key, where nothing underflows.
template <class K>
concept HomogeneousKernel = CompactKernel<K> && requires { requires K::homogeneous; };

/// A kernel whose formulas are arithmetic and exp alone, without a branch on t, and which says so:
///   static constexpr bool elementwise = true;
/// Its functions are then called with a pack of coordinates at a time, as fast as the machine goes.
/// They may be called outside the support, where the result is not used.
template <class K>
concept ElementwiseKernel = Kernel<K> && requires { requires K::elementwise; };

/// A kernel with a real alpha to differentiate by. It also has
///   S alpha_derivative(S t)            // d kappa / d alpha at fixed t
///   S adaptive_alpha_derivative(S t)   // the same at fixed similarity and log-partition: t moves too
template <class K>
concept AlphaKernel = AdaptiveKernel<K> && requires(const K kernel, double t) {
  { kernel.alpha() } -> std::convertible_to<double>;
  { kernel.alpha_derivative(t) } -> std::same_as<double>;
  { kernel.adaptive_alpha_derivative(t) } -> std::same_as<double>;
};

/// The coordinate of zero distance. It is 1, unless a kernel measures from the centre instead of
/// the edge (member `centre`), where that loses fewer digits: then t = centre - u^2 throughout.
template <Kernel K>
constexpr double centre(const K& kernel) {
  if constexpr (requires { kernel.centre(); }) {
    return kernel.centre();
  } else {
    return 1.0;
  }
}

/// The coordinate of the edge of the support of a compact kernel.
template <CompactKernel K>
constexpr double edge(const K& kernel) {
  return centre(kernel) - 1.0;
}

/// True if a key at coordinate t can have weight. NaN counts as yes, so that it is seen and propagates.
template <Kernel K, class Scalar>
bool in_support(const K& kernel, const Scalar& t) {
  if constexpr (K::compact) {
    return !(t <= Scalar(edge(kernel)));
  } else {
    return true;
  }
}

namespace detail {

/// Says which member of a kernel is missing, or is there with another signature and would be ignored.
template <class K>
constexpr bool check_kernel() {
  static_assert(std::copyable<K>, "kernel: must be copyable");
  static_assert(requires { typename Flag<K::compact>; },
                "kernel: static constexpr bool compact is missing, or not a constant");
  static_assert(requires(const K kernel, double t) { { kernel.profile(t) } -> std::same_as<double>; },
                "kernel: template <class S> S profile(S t) const is missing, or has another signature");
  static_assert(requires(const K kernel, double t) { { kernel.derivative(t) } -> std::same_as<double>; },
                "kernel: template <class S> S derivative(S t) const is missing, or has another signature");
  if constexpr (Kernel<K> && !has_constrained_members<K>) {
    static_assert(!Names_exponential<K> || requires { typename Flag<K::exponential>; },
                  "kernel: exponential must be a static constexpr bool");
    static_assert(!Names_elementwise<K> || requires { typename Flag<K::elementwise>; },
                  "kernel: elementwise must be a static constexpr bool");
    static_assert(!Names_homogeneous<K> || requires { typename Flag<K::homogeneous>; },
                  "kernel: homogeneous must be a static constexpr bool");
    static_assert(!Names_width<K> || AdaptiveKernel<K>, "kernel: width must be double width() const");
    static_assert(!(Names_alpha_derivative<K> || Names_adaptive_alpha_derivative<K>) || AlphaKernel<K>,
                  "kernel: a gradient of alpha takes double alpha() const, S alpha_derivative(S t) const, "
                  "S adaptive_alpha_derivative(S t) const and width(); one is missing, or has another signature");
    static_assert(!Names_centre<K> || requires(const K kernel) { { kernel.centre() } -> std::convertible_to<double>; },
                  "kernel: centre must be double centre() const");
    static_assert(!Names_validate<K> || requires(const K kernel) { kernel.validate(); } ||
                      requires(const K kernel) { kernel.template validate<float>(); },
                  "kernel: validate must be void validate() const, or template <class S> void validate() const");
    static_assert(Names_exponential<K> || !Misspells_exponential<K>, "kernel: is a member exponential misspelt?");
    static_assert(Names_elementwise<K> || !Misspells_elementwise<K>, "kernel: is a member elementwise misspelt?");
    static_assert(Names_homogeneous<K> || !Misspells_homogeneous<K>, "kernel: is a member homogeneous misspelt?");
    static_assert(Names_width<K> || !Misspells_width<K>, "kernel: is a member width() misspelt?");
    static_assert(Names_alpha_derivative<K> || !Misspells_alpha_derivative<K>, "kernel: is a member alpha_derivative(S t) misspelt?");
    static_assert(Names_centre<K> || !Misspells_centre<K>, "kernel: the coordinate of zero distance is spelt centre()");
    static_assert(Names_validate<K> || !Misspells_validate<K>, "kernel: is a member validate() misspelt?");
    if constexpr (requires { requires K::exponential; }) {
      static_assert(!K::compact, "kernel: one that is exponential is nowhere zero, so compact must be false");
    }
  }
  return true;
}

/// Throws std::invalid_argument if a parameter of a kernel has no meaning, or none in the scalar.
template <class Scalar, Kernel K>
void validate_kernel([[maybe_unused]] const K& kernel) {
  static_assert(check_kernel<K>());
  if constexpr (requires { kernel.template validate<Scalar>(); }) {
    kernel.template validate<Scalar>();
  } else if constexpr (requires { kernel.validate(); }) {
    kernel.validate();
  }
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
