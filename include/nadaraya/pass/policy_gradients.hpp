// The gradients of a head's parameters: those that every policy may have, and those of a user's own.
#pragma once

#include "nadaraya/engine/portable.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/similarity/similarity.hpp"
#include "nadaraya/types.hpp"

#include <utility>

#include "nadaraya/detail/precise.hpp"

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

/// Sums over pairs, those of float in double. `similarity` and `bias`, whose types are the user's, are empty where there is
/// nothing to sum.
template <class Scalar, class S, class M>
struct PolicyGradients : ParameterGradients<engine::Wide<Scalar>> {
  static constexpr bool of_similarity = ParametricSimilarity<S, Scalar>;
  static constexpr bool of_bias = ParametricBias<M, Scalar>;

  decltype(zero_gradient<Scalar, of_similarity>(std::declval<const S&>())) similarity;
  decltype(zero_gradient<Scalar, of_bias>(std::declval<const M&>())) bias;

  PolicyGradients(const S& of, const M& mask)
      : similarity(zero_gradient<Scalar, of_similarity>(of)), bias(zero_gradient<Scalar, of_bias>(mask)) {}

  template <class T>
  void add(const ParameterGradients<T>& more) {
    using Wide = engine::Wide<Scalar>;
    this->scale += Wide(more.scale);
    this->bandwidth += Wide(more.bandwidth);
    this->alpha += Wide(more.alpha);
  }

  PolicyGradients& operator+=(const PolicyGradients& more) {
    add(more);
    if constexpr (of_similarity) similarity += more.similarity;
    if constexpr (of_bias) bias += more.bias;
    return *this;
  }
};

}  // namespace nadaraya::pass

#include "nadaraya/detail/end_precise.hpp"
