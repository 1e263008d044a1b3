// Two masks at once.
#pragma once

#include "nadaraya/mask/mask.hpp"

#include <algorithm>
#include <utility>

namespace nadaraya {

/// A pair is visible iff it is visible to both; biases add. Written `Causal{} & AdditiveBias{...}`.
template <Mask A, Mask B>
class Intersection {
  static_assert(detail::check_mask<A>() && detail::check_mask<B>());

 public:
  Intersection(A a, B b) : a_(std::move(a)), b_(std::move(b)) {}

  void validate(const Extent& n) const {
    if constexpr (requires { a_.validate(n); }) a_.validate(n);
    if constexpr (requires { b_.validate(n); }) b_.validate(n);
  }

  KeyRange range(Index query, const Extent& n) const {
    const KeyRange a = a_.range(query, n);
    const KeyRange b = b_.range(query, n);
    return n.clip((std::max)(a.first, b.first), (std::min)(a.last, b.last));
  }

  bool visible(Index query, Index key, const Extent& n) const
    requires(HoledMask<A> || HoledMask<B>)
  {
    return is_visible(a_, query, key, n) && is_visible(b_, query, key, n);
  }

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

 private:
  A a_;
  B b_;
};

template <Mask A, Mask B>
inline constexpr bool has_constrained_members<Intersection<A, B>> = true;

template <Mask A, Mask B>
Intersection<A, B> operator&(A a, B b) {
  return Intersection<A, B>(std::move(a), std::move(b));
}

}  // namespace nadaraya
