// Minimizes a smooth function of a few variables in a box.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// When a search ends.
struct SearchLimits {
  int iterations = 50;
  double gradient = 1e-6;   ///< relative to the value: the search ends at a smaller one
  double step = 1e-5;       ///< the search ends when no variable moves more
  double longest_step = 1;  ///< of a variable, in one iteration
};

/// The box of a search.
struct SearchBox {
  Eigen::VectorXd lower, upper;
};

/// Where a search is. It can go on from there.
struct SearchState {
  Eigen::VectorXd x, gradient;
  double value = 0;
  int evaluations = 0;
  Eigen::MatrixXd inverse_hessian = {};  ///< empty: no curvature is known
};

/// A search that begins at x. evaluate(x, gradient) returns the value, +infinity where there is none.
template <class Evaluate>
SearchState begin_search(const Evaluate& evaluate, const Eigen::VectorXd& x) {
  SearchState at{x, Eigen::VectorXd(x.size()), 0, 1};
  at.value = evaluate(at.x, at.gradient);
  return at;
}

/// BFGS (Nocedal and Wright 2006, chapter 6) with a backtracking line search, on the variables that are not held at a
/// bound. progress(x, value) is told of each iterate. Deterministic. The state lies in the box and has a finite value.
template <class Evaluate, class Progress>
void minimize_in_box(const Evaluate& evaluate, const SearchBox& box, const SearchLimits& limits, const Progress& progress,
                     SearchState& at) {
  const Index n = at.x.size();
  const auto& [lower, upper] = box;
  Eigen::VectorXd next_gradient(n), direction(n), next(n);
  const double tolerance = limits.gradient * detail::abs(at.value);
  for (int iteration = 0; iteration < limits.iterations; ++iteration) {
    progress(at.x, at.value);
    Eigen::VectorXd open = at.gradient;
    for (Index d = 0; d < n; ++d) {
      const bool held = (at.x(d) <= lower(d) && open(d) >= 0) || (at.x(d) >= upper(d) && open(d) <= 0);
      if (held) open(d) = 0;
    }
    const double largest = open.cwiseAbs().maxCoeff();
    if (!(largest > tolerance)) break;
    const bool curved = at.inverse_hessian.size() > 0;
    if (curved) direction = -(at.inverse_hessian * open);
    for (Index d = 0; d < n; ++d) {
      if (open(d) == 0) direction(d) = 0;
    }
    const bool fresh = !curved || !(direction.dot(open) < 0);
    if (fresh) direction = open * (-0.25 * limits.longest_step / largest);
    direction *= (std::min)(1.0, limits.longest_step / direction.cwiseAbs().maxCoeff());
    double length = 1, value = 0;
    bool descended = false;
    for (int trial = 0; trial < 20; ++trial) {
      next = (at.x + length * direction).cwiseMax(lower).cwiseMin(upper);
      value = evaluate(next, next_gradient);
      ++at.evaluations;
      const double slope = at.gradient.dot(next - at.x);
      descended = value <= at.value + 1e-4 * slope && value < at.value;
      if (descended || (next - at.x).cwiseAbs().maxCoeff() <= limits.step) break;
      // The minimum of the parabola through the value, the slope and the new value.
      const double parabola = -slope / (2 * (value - at.value - slope));
      length *= is_finite(parabola) ? std::clamp(parabola, 0.1, 0.5) : 0.1;
    }
    if (!descended) {
      at.inverse_hessian.resize(0, 0);
      if (fresh) break;
      continue;
    }
    const Eigen::VectorXd s = next - at.x, y = next_gradient - at.gradient;
    at.x = next;
    at.value = value;
    at.gradient = next_gradient;
    const double sy = s.dot(y);
    if (fresh) at.inverse_hessian.resize(0, 0);
    if (sy > 1e-10 * s.norm() * y.norm()) {
      if (fresh) at.inverse_hessian = Eigen::MatrixXd::Identity(n, n) * (sy / y.squaredNorm());
      const Eigen::MatrixXd left = Eigen::MatrixXd::Identity(n, n) - s * y.transpose() / sy;
      at.inverse_hessian = (left * at.inverse_hessian * left.transpose() + s * s.transpose() / sy).eval();
    }
    if (s.cwiseAbs().maxCoeff() <= limits.step) break;
  }
  progress(at.x, at.value);
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
