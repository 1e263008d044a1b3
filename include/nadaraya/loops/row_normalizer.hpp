// What a normalization decides for one row, and the gradients of parameters that its pullback reports.
#pragma once

#include "nadaraya/kernel/kernel.hpp"

#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Everything that turns a row's similarities into its weights:
///   t_j = (z_j - pivot) / width + offset,     p_j = kappa(t_j) / mass   (0 outside the support).
/// Every normalization is a choice of these four numbers. They are the only per-row state that
/// backward needs.
template <class Scalar>
struct RowNormalizer {
  Scalar pivot{0};   ///< the similarity that coordinates are measured from, so that no digits cancel
  Scalar width{1};   ///< the similarity per unit of t
  Scalar offset{0};  ///< the coordinate at the pivot
  Scalar mass{1};    ///< the divisor

  Scalar coordinate(const Scalar& z) const { return Scalar((z - pivot) / width + offset); }  ///< t of a similarity.

  /// tau of t_j = z_j / width - tau.
  Scalar threshold() const { return Scalar(pivot / width - offset); }
};

/// kappa(t) / mass, zero outside the support.
template <Kernel K, class Scalar>
Scalar weight(const K& kernel, const RowNormalizer<Scalar>& map, const Scalar& t) {
  return in_support(kernel, t) ? Scalar(kernel.profile(t) / map.mass) : Scalar(0);
}

/// kappa'(t), zero outside the support.
template <Kernel K, class Scalar>
Scalar profile_derivative(const K& kernel, const Scalar& t) {
  return in_support(kernel, t) ? Scalar(kernel.derivative(t)) : Scalar(0);
}

/// Sums, over the rows, of the gradients of the operator's own parameters.
template <class Scalar>
struct ParameterGradients {
  Scalar scale{0};  ///< by the similarity's scale
  Scalar bandwidth{0};  ///< by the normalization's bandwidth
  Scalar alpha{0};  ///< by the kernel's alpha
};

/// Names for the spans that pass between the passes of one row.
template <class Scalar>
using RowView = std::span<const Scalar>;
template <class Scalar>
using RowOut = std::span<Scalar>;  ///< As RowView, to write.

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
