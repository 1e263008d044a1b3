// Two masks at once.
#pragma once

#include "nadaraya/mask/mask.hpp"

#include <algorithm>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// The gradients of two biases that both have parameters.
template <class A, class B>
struct BothGradients {
  A first;
  B second;

  BothGradients& operator+=(const BothGradients& more) {
    first += more.first;
    second += more.second;
    return *this;
  }
};

}  // namespace detail

/// A pair is visible iff it is visible to both; biases add. Written `Causal{} & AdditiveBias{...}`.
/// The gradient of its bias is that of the one which has parameters, or .first and .second if both have.
template <Mask A, Mask B>
class Intersection {
  static_assert(detail::check_mask<A>() && detail::check_mask<B>());

 public:
  Intersection(A a, B b) : a_(std::move(a)), b_(std::move(b)) {}  ///< What `a & b` makes.

  /// Throws what the checks of the two masks throw.
  void validate(const Extent& n) const {
    if constexpr (requires { a_.validate(n); }) a_.validate(n);
    if constexpr (requires { b_.validate(n); }) b_.validate(n);
  }

  /// The keys in both ranges.
  KeyRange range(Index query, const Extent& n) const {
    const KeyRange a = a_.range(query, n);
    const KeyRange b = b_.range(query, n);
    return n.clip((std::max)(a.first, b.first), (std::min)(a.last, b.last));
  }

  /// True if both masks show the key.
  bool visible(Index query, Index key, const Extent& n) const
    requires(HoledMask<A> || HoledMask<B>)
  {
    return is_visible(a_, query, key, n) && is_visible(b_, query, key, n);
  }

  /// The sum of the biases.
  auto bias(Index query, Index key, const Extent& n) const
    requires(BiasMask<A> || BiasMask<B>)
  {
    if constexpr (BiasMask<A> && BiasMask<B>) {
      return a_.bias(query, key, n) + b_.bias(query, key, n);
    } else if constexpr (BiasMask<A>) {
      return a_.bias(query, key, n);
    } else {
      return b_.bias(query, key, n);
    }
  }

  /// A gradient of zero by the parameters of the bias.
  template <class S>
    requires(ParametricBias<A, S> || ParametricBias<B, S>)
  auto zero_gradient() const {
    if constexpr (ParametricBias<A, S> && ParametricBias<B, S>) {
      return detail::BothGradients{a_.template zero_gradient<S>(), b_.template zero_gradient<S>()};
    } else if constexpr (ParametricBias<A, S>) {
      return a_.template zero_gradient<S>();
    } else {
      return b_.template zero_gradient<S>();
    }
  }

  /// Adds dz times dbias/dparameters to `sum`.
  template <class S, class G>
    requires(ParametricBias<A, S> || ParametricBias<B, S>)
  void bias_pullback(Index query, Index key, const Extent& n, const S& dz, G& sum) const {
    if constexpr (ParametricBias<A, S> && ParametricBias<B, S>) {
      a_.bias_pullback(query, key, n, dz, sum.first);
      b_.bias_pullback(query, key, n, dz, sum.second);
    } else if constexpr (ParametricBias<A, S>) {
      a_.bias_pullback(query, key, n, dz, sum);
    } else {
      b_.bias_pullback(query, key, n, dz, sum);
    }
  }

 private:
  A a_;
  B b_;
};

template <Mask A, Mask B>
inline constexpr bool has_constrained_members<Intersection<A, B>> = true;  ///< Some members exist for some masks only.

/// Both masks at once: Causal{} & AdditiveBias{Alibi{0.5}}.
template <Mask A, Mask B>
Intersection<A, B> operator&(A a, B b) {
  return Intersection<A, B>(std::move(a), std::move(b));
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
