// Minimizes a smooth function of a few variables in a box.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

struct SearchLimits {
  int iterations = 50;
  double gradient = 1e-6;   ///< relative to the value at the start: the search ends at a smaller one
  double step = 1e-7;       ///< the search ends when no variable moves more
  double longest_step = 1;  ///< of a variable, in one iteration
};

struct SearchResult {
  Eigen::VectorXd x;
  double value = 0;
  int evaluations = 0;
};

/// BFGS (Nocedal and Wright 2006, chapter 6) with a backtracking line search, on the variables that are not held at a
/// bound. evaluate(x, gradient) returns the value, +infinity where there is none; progress(x, value) is told of each
/// iterate. Deterministic. The start lies in the box and has a finite value.
template <class Evaluate, class Progress>
SearchResult minimize_in_box(const Evaluate& evaluate, const Eigen::VectorXd& start, const Eigen::VectorXd& lower,
                             const Eigen::VectorXd& upper, const SearchLimits& limits, const Progress& progress) {
  const Index n = start.size();
  SearchResult at{start, 0, 1};
  Eigen::VectorXd gradient(n), next_gradient(n), direction(n), next(n);
  at.value = evaluate(at.x, gradient);
  const double tolerance = limits.gradient * detail::abs(at.value);
  Eigen::MatrixXd inverse_hessian = Eigen::MatrixXd::Identity(n, n);
  bool fresh = true;  // no curvature is known
  for (int iteration = 0; iteration < limits.iterations; ++iteration) {
    progress(at.x, at.value);
    const auto held = [&](Index d) {
      return (at.x(d) <= lower(d) && gradient(d) >= 0) || (at.x(d) >= upper(d) && gradient(d) <= 0);
    };
    Eigen::VectorXd open = gradient;
    for (Index d = 0; d < n; ++d) {
      if (held(d)) open(d) = 0;
    }
    const double largest = open.cwiseAbs().maxCoeff();
    if (!(largest > tolerance)) break;
    direction = -(inverse_hessian * open);
    for (Index d = 0; d < n; ++d) {
      if (held(d)) direction(d) = 0;
    }
    if (fresh || !(direction.dot(open) < 0)) {
      direction = open * (-0.25 * limits.longest_step / largest);
      inverse_hessian.setIdentity();
      fresh = true;
    }
    direction *= (std::min)(1.0, limits.longest_step / direction.cwiseAbs().maxCoeff());
    double length = 1, value = 0;
    bool descended = false;
    for (int trial = 0; trial < 20; ++trial) {
      next = (at.x + length * direction).cwiseMax(lower).cwiseMin(upper);
      value = evaluate(next, next_gradient);
      ++at.evaluations;
      const double slope = gradient.dot(next - at.x);
      descended = value <= at.value + 1e-4 * slope && value < at.value;
      if (descended || (next - at.x).cwiseAbs().maxCoeff() <= limits.step) break;
      // The minimum of the parabola through the value, the slope and the new value.
      const double parabola = -slope / (2 * (value - at.value - slope));
      length *= is_finite(parabola) ? std::clamp(parabola, 0.1, 0.5) : 0.1;
    }
    if (!descended) {
      if (fresh) break;
      fresh = true;
      inverse_hessian.setIdentity();
      continue;
    }
    const Eigen::VectorXd s = next - at.x, y = next_gradient - gradient;
    at.x = next;
    at.value = value;
    gradient = next_gradient;
    const double sy = s.dot(y);
    if (sy > 1e-10 * s.norm() * y.norm()) {
      if (fresh) inverse_hessian *= sy / y.squaredNorm();
      fresh = false;
      const Eigen::MatrixXd left = Eigen::MatrixXd::Identity(n, n) - s * y.transpose() / sy;
      inverse_hessian = (left * inverse_hessian * left.transpose() + s * s.transpose() / sy).eval();
    }
    if (s.cwiseAbs().maxCoeff() <= limits.step) break;
  }
  progress(at.x, at.value);
  return at;
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
