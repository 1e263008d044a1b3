// How well a classifier predicts the points that it is left without.
#pragma once

#include <cmath>
#include <concepts>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// The prediction at a point by all others.
struct LeftOutClass {
  double probability = 0;  ///< of its own class; 0 if no other point has weight
  bool right = false;      ///< is its class the one predicted?
  double points = 0;       ///< N
  double classes = 0;      ///< C
};

/// What a prediction costs, and the derivative by the probability.
struct ClassLoss {
  double value = 0;           ///< the loss
  double by_probability = 0;  ///< its derivative
};

/// A loss whose mean over the points, each left out, is to be minimized.
///   ClassLoss operator()(const LeftOutClass&) const;
template <class C>
concept ClassCriterion = std::copyable<C> && requires(const C criterion, const LeftOutClass& point) {
  { criterion(point) } -> std::same_as<ClassLoss>;
};

/// -log((1 - 1/N) P + 1/(N C)): a class that was thought impossible costs log(N C), not infinity.
struct ClassLikelihood {
  /// The loss of one point.
  ClassLoss operator()(const LeftOutClass& point) const {
    const double mixed = (1 - 1 / point.points) * point.probability + 1 / (point.points * point.classes);
    return {-std::log(mixed), -(1 - 1 / point.points) / mixed};
  }
};

/// 1 for a wrong prediction: the share of errors. It has no slope, so that a search ends at the best of its grid.
struct ClassErrors {
  /// The loss of one point.
  ClassLoss operator()(const LeftOutClass& point) const { return {point.right ? 0.0 : 1.0, 0}; }
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
