// The gradients of a head's parameters: those that every policy may have, and those of a user's own.
#pragma once

#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/similarity/similarity.hpp"
#include "nadaraya/types.hpp"

#include <utility>

namespace nadaraya::pass {

struct NoGradient {};

/// Zero of a policy's own parameters.
template <class Scalar, bool any, class Policy>
auto zero_gradient([[maybe_unused]] const Policy& policy) {
  if constexpr (any) {
    return policy.template zero_gradient<Scalar>();
  } else {
    return NoGradient{};
  }
}

/// Sums over pairs. `similarity` and `bias` are empty where there is nothing to sum.
template <class Scalar, class S, class M>
struct PolicyGradients : ParameterGradients<Scalar> {
  static constexpr bool of_similarity = ParametricSimilarity<S, Scalar>;
  static constexpr bool of_bias = ParametricBias<M, Scalar>;

  decltype(zero_gradient<Scalar, of_similarity>(std::declval<const S&>())) similarity;
  decltype(zero_gradient<Scalar, of_bias>(std::declval<const M&>())) bias;

  PolicyGradients(const S& of, const M& mask)
      : similarity(zero_gradient<Scalar, of_similarity>(of)), bias(zero_gradient<Scalar, of_bias>(mask)) {}

  PolicyGradients& operator+=(const PolicyGradients& more) {
    this->scale += more.scale;
    this->bandwidth += more.bandwidth;
    this->alpha += more.alpha;
    if constexpr (of_similarity) similarity += more.similarity;
    if constexpr (of_bias) bias += more.bias;
    return *this;
  }
};

}  // namespace nadaraya::pass
