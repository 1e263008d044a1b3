// Checks of an operator's policies: by types, and of their parameters by values.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/members.hpp"
#include "nadaraya/extent.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/operator/operands.hpp"
#include "nadaraya/similarity/similarity.hpp"
#include "nadaraya/types.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Says which policy is not for the scalar.
template <class Scalar, class K, class N, class S, class M>
constexpr bool check_operator() {
  static_assert(check_scalar<Scalar>());
  static_assert(!Names_parameter_pullback<S> || ParametricSimilarity<S, Scalar>,
                "similarity: zero_gradient and parameter_pullback are not for this scalar");
  static_assert(!Names_bias_pullback<M> || has_constrained_members<M> || ParametricBias<M, Scalar>,
                "mask: zero_gradient and bias_pullback are not for this scalar");
  static_assert(check_normalization<N, K, Scalar>(),
                "the second policy is a normalization; see normalization/normalization.hpp");
  return true;
}

/// Throws std::invalid_argument if a parameter has no meaning.
template <class Scalar, class K, class N, class S>
void validate_parameters(const K& kernel, const N& normalization, const S& similarity) {
  validate_kernel<Scalar>(kernel);
  if constexpr (requires { similarity.validate(); }) similarity.validate();
  if constexpr (requires { normalization.template validate<Scalar>(0.0); }) {
    normalization.template validate<Scalar>(distance_factor<S>());
  }
}

/// Throws std::invalid_argument if the similarity or the mix is not for rows of `dimension` columns.
template <class Scalar, class S, class X>
void validate_dimension(const S& similarity, const X& mix, Index dimension) {
  validate_dimension(similarity, dimension);
  mix.template validate<Scalar>(dimension);
}

/// Throws std::invalid_argument if queries, keys and values do not fit together.
template <class Q, class Ke, class V>
void require_operands(const Q& query, const Ke& key, const V& value, const char* function) {
  require_query_and_key(query.rows(), query.cols(), key.rows(), key.cols(), function);
  require_key_and_value(key.rows(), key.cols(), value.rows(), value.cols(), function);
}

/// Throws std::invalid_argument if the mask is for other numbers of queries and keys.
template <class M>
void validate_mask([[maybe_unused]] const M& mask, [[maybe_unused]] const Extent& n) {
  if constexpr (requires { mask.validate(n); }) mask.validate(n);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
