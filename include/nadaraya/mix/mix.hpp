// What a mix is: how the weights of a query's support become those by which its values are summed.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/types.hpp"
#include "nadaraya/weighted_keys.hpp"

#include <concepts>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// A mix turns the weights w of a support into corrected weights c; the output of the query is sum_j c_j v_j. A model has
///   template <class S> void validate(Index dimension) const;   // throws std::invalid_argument
///   template <class S> Scratch<S>                              // kept memory, default constructible and copyable
///   template <class S> void correct(const WeightedKeys<S>&, std::span<S> corrected, Scratch<S>&) const;
///   template <class S> S pullback(const WeightedKeys<S>&, std::span<const S> grad_corrected,
///                                 const WeightedKeyGradients<S>&, Scratch<S>&) const;   // returns dL/dridge, or 0
/// pullback comes after correct of the same support, whose scratch memory it is given. A mix with a member `double ridge` has a
/// gradient of it.
///
/// Laws (checked by tests/mix_test.cpp):
///   * the corrected weights sum to one; they may be negative;
///   * the functions that the mix fits are reproduced: if v_j = f(k_j), the output is f(q), up to the ridge;
///   * a common factor of all weights changes nothing, nor does a common shift of query and keys;
///   * pullback is the gradient of correct. An empty support has neither weights nor gradients (that of the query is 0);
///   * finite operands give finite weights, however few or coincident the keys.
template <class M>
concept Mix = std::copyable<M> && requires(const M mix, const WeightedKeys<double>& support, std::span<double> corrected,
                                           std::span<const double> grad, const WeightedKeyGradients<double>& gradients,
                                           typename M::template Scratch<double>& scratch) {
  mix.template validate<double>(Index{});
  mix.correct(support, corrected, scratch);
  { mix.pullback(support, grad, gradients, scratch) } -> std::same_as<double>;
};

/// A mix with a parameter `ridge`.
template <class M>
concept RidgedMix = Mix<M> && requires(const M mix) {
  { mix.ridge } -> std::convertible_to<double>;
};

namespace detail {

/// Throws std::invalid_argument unless the scalar in use can hold and invert the ridge.
template <class Scalar>
void require_ridge(double ridge, const char* name) {
  const auto r = static_cast<Scalar>(ridge);
  require(r > Scalar(0) && Scalar(1) / r < Scalar(Eigen::NumTraits<Scalar>::infinity()) &&
              r < Scalar(Eigen::NumTraits<Scalar>::infinity()),
          name, ": the ridge must be positive, and it and its inverse finite in the scalar in use, got ", ridge);
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
