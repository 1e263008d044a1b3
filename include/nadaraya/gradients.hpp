// The gradients that an operator has: of its inputs, and of those parameters that its policies have.
#pragma once

#include "nadaraya/engine/parameter_sums.hpp"
#include "nadaraya/types.hpp"

#include <type_traits>
#include <utility>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

template <class Scalar>
struct ScaleGradient {
  Scalar scale{0};
};
template <class Scalar>
struct BandwidthGradient {
  Scalar bandwidth{0};
};
template <class Scalar>
struct AlphaGradient {
  Scalar alpha{0};
};
template <class Gradient>
struct SimilarityGradient {
  Gradient similarity;
};
template <class Gradient>
struct BiasGradient {
  Gradient bias;
};
template <class Scalar>
struct RidgeGradient {
  Scalar ridge{0};
};
template <int>
struct NoGradient {};

}  // namespace detail

/// Gradients of a loss by those of an operator's parameters that exist: `.scale` of the similarity,
/// `.bandwidth` of the normalization, `.alpha` of the kernel, `.ridge` of the mix, and `.similarity` and `.bias` of parameters
/// that the similarity and the mask have themselves (sums over all rows).
template <class Scalar, bool Scale, bool Bandwidth, bool Alpha, class Similarity = void, class Bias = void, bool Ridge = false>
struct OwnGradients : std::conditional_t<Scale, detail::ScaleGradient<Scalar>, detail::NoGradient<0>>,
                      std::conditional_t<Bandwidth, detail::BandwidthGradient<Scalar>, detail::NoGradient<1>>,
                      std::conditional_t<Alpha, detail::AlphaGradient<Scalar>, detail::NoGradient<2>>,
                      std::conditional_t<std::is_void_v<Similarity>, detail::NoGradient<3>, detail::SimilarityGradient<Similarity>>,
                      std::conditional_t<std::is_void_v<Bias>, detail::NoGradient<4>, detail::BiasGradient<Bias>>,
                      std::conditional_t<Ridge, detail::RidgeGradient<Scalar>, detail::NoGradient<5>> {
  /// Adds the sums of some queries, parameter by parameter.
  OwnGradients& operator+=(const engine::ParameterSums<Scalar>& more) {
    if constexpr (Scale) this->scale += Scalar(more.scale);
    if constexpr (Bandwidth) this->bandwidth += Scalar(more.bandwidth);
    if constexpr (Alpha) this->alpha += Scalar(more.alpha);
    if constexpr (Ridge) this->ridge += Scalar(more.ridge);
    if constexpr (!std::is_void_v<Similarity>) {
      this->similarity += static_cast<const engine::OwnGradientOf<Similarity>&>(*more.similarity).sum;
    }
    if constexpr (!std::is_void_v<Bias>) this->bias += static_cast<const engine::OwnGradientOf<Bias>&>(*more.bias).sum;
    return *this;
  }
};

/// Gradients with respect to the parameters and to query, key and value; each matrix has the shape of its input.
template <class Scalar, bool Scale, bool Bandwidth, bool Alpha, class Similarity = void, class Bias = void, bool Ridge = false>
struct Gradients : OwnGradients<Scalar, Scale, Bandwidth, Alpha, Similarity, Bias, Ridge> {
  RowMatrix<Scalar> query;  ///< dL/dquery [Nq x D]
  RowMatrix<Scalar> key;  ///< dL/dkey [Nk x D]
  RowMatrix<Scalar> value;  ///< dL/dvalue [Nk x Dv]
};

namespace detail {

/// The gradient of a policy's own parameters, void if it has none.
template <bool any, class Policy, class Scalar>
struct OwnGradient {
  using Type = void;
};
template <class Policy, class Scalar>
struct OwnGradient<true, Policy, Scalar> {
  using Type = decltype(std::declval<const Policy&>().template zero_gradient<Scalar>());
};
template <bool any, class Policy, class Scalar>
using OwnGradientOf = typename OwnGradient<any, Policy, Scalar>::Type;

/// Gradients by the parameters of an operator, all zero.
template <class Parameters, class Scalar, class S, class M>
Parameters no_parameters([[maybe_unused]] const S& similarity, [[maybe_unused]] const M& mask) {
  Parameters zero;
  if constexpr (requires { zero.similarity; }) zero.similarity = similarity.template zero_gradient<Scalar>();
  if constexpr (requires { zero.bias; }) zero.bias = mask.template zero_gradient<Scalar>();
  return zero;
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
