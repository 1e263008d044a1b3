// The gradients that an operator of some policies has.
#pragma once

#include "nadaraya/gradients.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/mask/mask.hpp"
#include "nadaraya/mix/mix.hpp"
#include "nadaraya/normalization/normalization.hpp"
#include "nadaraya/similarity/similarity.hpp"

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Gradients, or OwnGradients, of an operator.
template <template <class, bool, bool, bool, class, class, bool> class Kind, class Scalar, class K, class N, class S, class M,
          class X>
using OperatorGradients =
    Kind<Scalar, ScaledSimilarity<S>, HasBandwidth<N>, AlphaKernel<K>, OwnGradientOf<ParametricSimilarity<S, Scalar>, S, Scalar>,
         OwnGradientOf<ParametricBias<M, Scalar>, M, Scalar>, RidgedMix<X>>;

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
