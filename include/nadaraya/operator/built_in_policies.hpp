// The built-in policies as the engine calls them: compiled with those who use them or, where NADARAYA_COMPILED is defined, taken
// from the library.
#pragma once

#include "nadaraya/engine/instances.hpp"
#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/mask/causal.hpp"
#include "nadaraya/mask/key_lengths.hpp"
#include "nadaraya/mask/row_mask_of.hpp"
#include "nadaraya/mix/local_linear.hpp"
#include "nadaraya/mix/row_mix_of.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/normalization/anchored.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/normalization/nearest_neighbors.hpp"
#include "nadaraya/normalization/unnormalized.hpp"
#include "nadaraya/row/row_rule.hpp"
#include "nadaraya/similarity/cosine.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/row_similarity_of.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#if !defined(NADARAYA_COMPILED)
#include "nadaraya/normalization/row_rule_of.hpp"
#endif

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

#if defined(NADARAYA_COMPILED)
#define NADARAYA_INSTANTIATE extern template
#define NADARAYA_SCALAR float
#include "nadaraya/operator/built_in_policies.ipp"
#undef NADARAYA_SCALAR
#define NADARAYA_SCALAR double
#include "nadaraya/operator/built_in_policies.ipp"
#undef NADARAYA_SCALAR
#undef NADARAYA_INSTANTIATE
#endif

namespace nadaraya::detail {

template <class Policy, class... Policies>
inline constexpr bool is_one_of = (std::is_same_v<Policy, Policies> || ...);

/// Does the library hold the rule of this pair for float and double?
template <class K, class N>
inline constexpr bool compiled_rule =
    is_one_of<K, Uniform, Epanechnikov, Biweight, Triweight, RectifiedPower, Gaussian> &&
    is_one_of<N, Adaptive, FixedBandwidth, Anchored, NearestNeighbors, Unnormalized>;

/// Says what to include where the library does not hold a rule and its definition is missing.
template <class Scalar, class K, class N>
constexpr bool check_compiled() {
  static_assert(engine::check_compiled<Scalar>());
  static_assert(!engine::vectorized<Scalar> || compiled_rule<K, N> || requires { sizeof(RowRuleOf<Scalar, K, N>); },
                "with the compiled library, include <nadaraya/definitions.hpp> for a kernel or normalization of your own");
  return true;
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
