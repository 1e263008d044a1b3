// The built-in policies and the calls of many heads, as nadaraya::compiled compiles them: included by the library alone, each with
// NADARAYA_SOURCE_SCALAR defined as the scalar it is for.

#include "nadaraya/any_attention.hpp"
#include "nadaraya/head_weights.hpp"
#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/make_operator.hpp"
#include "nadaraya/mask/causal.hpp"
#include "nadaraya/mask/key_lengths.hpp"
#include "nadaraya/mask/row_mask_of.hpp"
#include "nadaraya/mix/local_linear.hpp"
#include "nadaraya/mix/row_mix_of.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/normalization/anchored.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/normalization/nearest_neighbors.hpp"
#include "nadaraya/normalization/row_rule_of.hpp"
#include "nadaraya/normalization/unnormalized.hpp"
#include "nadaraya/similarity/cosine.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/row_similarity_of.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#include "nadaraya/detail/precise.hpp"

#define NADARAYA_INSTANTIATE template
#define NADARAYA_SCALAR NADARAYA_SOURCE_SCALAR
#include "nadaraya/operator/built_in_policies.ipp"
#undef NADARAYA_SCALAR
#undef NADARAYA_INSTANTIATE

template class nadaraya::AttentionTape<NADARAYA_SOURCE_SCALAR>;
template class nadaraya::AnyAttention<NADARAYA_SOURCE_SCALAR>;
template nadaraya::HeadWeights<NADARAYA_SOURCE_SCALAR> nadaraya::detail::weigh_heads(
    const std::vector<const nadaraya::AnyOperator<NADARAYA_SOURCE_SCALAR>*>&, const nadaraya::HeadView<const NADARAYA_SOURCE_SCALAR>&,
    const nadaraya::HeadView<const NADARAYA_SOURCE_SCALAR>&, const nadaraya::engine::Execution<NADARAYA_SOURCE_SCALAR>&);
template std::pair<nadaraya::AnyRule<NADARAYA_SOURCE_SCALAR>, nadaraya::AnySimilarity<NADARAYA_SOURCE_SCALAR>>
nadaraya::detail::policies_of(const nadaraya::OperatorOptions&);
template nadaraya::AnyMask<NADARAYA_SOURCE_SCALAR> nadaraya::detail::mask_of(const nadaraya::OperatorOptions&);
template nadaraya::AnyMix<NADARAYA_SOURCE_SCALAR> nadaraya::detail::mix_of(const nadaraya::OperatorOptions&);

#include "nadaraya/detail/end_precise.hpp"
