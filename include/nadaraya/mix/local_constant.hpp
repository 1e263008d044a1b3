// The weighted mean: Nadaraya-Watson's own mix.
#pragma once

#include "nadaraya/mix/mix.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// c_j = w_j / sum w. Reproduces constants. O(s).
struct LocalConstant {
  /// Needs none.
  template <class Scalar>
  struct Scratch {};

  /// For keys of any number of columns.
  template <class Scalar>
  void validate(Index) const {}

  /// The weights over their sum.
  template <class Scalar>
  void correct(const WeightedKeys<Scalar>& support, std::span<Scalar> corrected, Scratch<Scalar>&) const {
    const Scalar total = sum(support);
    for (std::size_t j = 0; j < corrected.size(); ++j) corrected[j] = support.weights[j] / total;
  }

  /// dL/dw_j = (g_j - sum c g) / sum w.
  template <class Scalar>
  Scalar pullback(const WeightedKeys<Scalar>& support, std::span<const Scalar> grad_corrected,
                  const WeightedKeyGradients<Scalar>& gradients, Scratch<Scalar>&) const {
    const Scalar total = sum(support);
    Scalar mean(0);
    for (std::size_t j = 0; j < grad_corrected.size(); ++j) mean += support.weights[j] / total * grad_corrected[j];
    for (std::size_t j = 0; j < grad_corrected.size(); ++j) gradients.weights[j] = (grad_corrected[j] - mean) / total;
    std::fill_n(gradients.query, support.dimension(), Scalar(0));
    std::fill_n(gradients.keys, support.size() * support.dimension(), Scalar(0));
    return Scalar(0);
  }

 private:
  template <class Scalar>
  static Scalar sum(const WeightedKeys<Scalar>& support) {
    Scalar total(0);
    for (const Scalar& w : support.weights) total += w;
    return total;
  }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
