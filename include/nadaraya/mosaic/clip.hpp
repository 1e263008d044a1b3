// The length of a gradient, and its limit.
#pragma once

#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/mosaic/stretches.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// The Euclidean norm of all gradients together, summed in double.
template <class Scalar>
double norm(const Parameters<Scalar>& grads, const AnyExecutor& executor) {
  const Index n = grads.size();
  std::vector<double> squares(static_cast<std::size_t>((n + numbers_at_once - 1) / numbers_at_once));
  for_stretches(n, numbers_at_once, executor, [&](Index first, Index count) {
    squares[static_cast<std::size_t>(first / numbers_at_once)] =
        grads.vector().segment(first, count).template cast<double>().square().sum();
  });
  double sum = 0;
  for (const double square : squares) sum += square;
  return std::sqrt(sum);
}

/// Scales the gradients down to a norm of `limit` if theirs is larger; returns the norm.
/// Source: Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063.
template <class Scalar>
double clip(Parameters<Scalar>& grads, double limit, const AnyExecutor& executor) {
  const double length = norm(grads, executor);
  if (length > limit) {
    const auto factor = static_cast<Scalar>(limit / length);
    for_stretches(grads.size(), numbers_at_once, executor,
                  [&](Index first, Index count) { grads.vector().segment(first, count) *= factor; });
  }
  return length;
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
