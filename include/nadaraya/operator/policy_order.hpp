// Which policy the third argument of an operator is, where the similarity may be left out.
#pragma once

#include "nadaraya/mask/mask.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The policy after the normalization is a similarity or, that left out, a mask.
template <class P>
inline constexpr bool leaves_similarity_out = !MeantAsSimilarity<P> && MeantAsMask<P>;
template <class P>
using SimilarityOf = std::conditional_t<leaves_similarity_out<P>, DotProduct, P>;
template <class P>
using MaskOf = std::conditional_t<leaves_similarity_out<P>, P, NoMask>;

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
