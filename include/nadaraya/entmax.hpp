// Softmax, sparsemax and alpha-entmax over the rows of a matrix, with their gradients.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/operator/built_in_policies.hpp"
#include "nadaraya/row/candidate_row.hpp"
#include "nadaraya/row/functions.hpp"
#include "nadaraya/row/row_rule.hpp"
#include "nadaraya/row/steep.hpp"
#include "nadaraya/rows.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

// These are the weights of an operator with Adaptive normalization, without queries and keys:
//   entmax(x) = argmax over distributions p of p.x - Omega(p),
//   Omega(p) = (sum p_j^alpha - 1) / (alpha (alpha - 1)),    p_j = [(alpha - 1) x_j - tau]_+^(1/(alpha - 1)),
// where tau makes the weights sum to one. alpha = 1 is softmax, alpha = 2 sparsemax.
//
// Special values, for every function of scores: -infinity marks a key that is not visible, its
// weight is 0; a row of nothing else is a row of zeros; NaN or +infinity makes its own row NaN and
// no other. Matrices without rows or columns are fine.
// Sources: Martins & Astudillo 2016 (sparsemax); Peters, Niculae & Martins 2019 (entmax);
// Correia, Niculae & Martins 2019 (the gradient by alpha).

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

inline void require_alpha(double alpha, const char* function) {
  require(alpha >= 1.0 && alpha <= 1e300, function, ": alpha must be finite and at least 1, got ", alpha);
}

template <class A, class B>
void require_same_shape(const A& a, const B& b, const char* function, const char* names) {
  require(a.rows() == b.rows() && a.cols() == b.cols(), function, ": ", names, " must have the same shape, got ",
          shape(a), " and ", shape(b));
}

/// visit(kernel), with the kernel whose adaptive weights are alpha-entmax: where there is a closed
/// threshold, the kernel that has it.
template <class Visit>
void with_entmax_kernel(double alpha, const Visit& visit) {
  if (alpha == 1.0) {
    visit(Gaussian{});
  } else if (alpha == 1.5) {
    visit(Biweight{});
  } else if (alpha == 2.0) {
    visit(Epanechnikov{});
  } else {
    visit(RectifiedPower::with_alpha(alpha));
  }
}

/// Weighs each row of scores: visit(i, map, columns, coordinates, weights), the last three over the
/// support. The row rule is the operator's own.
template <class Scalar, Kernel K, class Visit>
void for_each_score_row(const K& kernel, const Rows<Scalar>& scores, const char* function, const Visit& visit) {
  require(scores.cols() <= (std::numeric_limits<KeyIndex>::max)(), function, ": more than 2^31 - 1 columns");
  detail::validate_kernel<Scalar>(kernel);
  static_assert(check_compiled<Scalar, K, Adaptive>());
  const OwnedRowRule<Scalar, K, Adaptive> rule(kernel, Adaptive{}, 0.0);
  const auto x = scores.matrix();
  CandidateRow<Scalar> row;
  RowNormalizer<Scalar> map;
  engine::LineVector<Scalar> p;
  for (Index i = 0; i < x.rows(); ++i) {
    row.clear();
    row.reserve(static_cast<std::size_t>(x.cols()));
    for (Index j = 0; j < x.cols(); ++j) row.push(static_cast<KeyIndex>(j), x(i, j));
    weigh_scores(*rule, row, map, p);
    visit(i, map, row.keys(), row.values(), RowView<Scalar>(p.data(), row.size()));
  }
}

template <Kernel K, RealExpression X>
RowMatrix<ScalarOf<X>> adaptive_weights(const K& kernel, const X& x, const char* function) {
  using Scalar = ScalarOf<X>;
  static_assert(check_scalar<Scalar>());
  RowMatrix<Scalar> weights = RowMatrix<Scalar>::Zero(x.rows(), x.cols());
  for_each_score_row(
      kernel, Rows<Scalar>(x), function,
      [&](Index i, const RowNormalizer<Scalar>&, std::span<const KeyIndex> columns, RowView<Scalar>, RowView<Scalar> p) {
        for (std::size_t j = 0; j < columns.size(); ++j) weights(i, columns[j]) = p[j];
      });
  return weights;
}

/// From weights alone: s_j = p_j^(2 - alpha) on the support.
template <RealExpression P, RealExpression G>
RowMatrix<ScalarOf<P>> pull_weights(const P& weights, const G& grad, double alpha, const char* function) {
  using Scalar = ScalarOf<P>;
  static_assert(check_scalar<Scalar>());
  static_assert(std::is_same_v<ScalarOf<G>, Scalar>, "weights and their gradient must have the same scalar");
  require_same_shape(weights, grad, function, "weights and gradient");
  const Rows<Scalar> weight_rows(weights);
  const Rows<Scalar> grad_rows(grad);
  const auto p = weight_rows.matrix();
  const auto dp = grad_rows.matrix();

  RowMatrix<Scalar> result = RowMatrix<Scalar>::Zero(p.rows(), p.cols());
  std::vector<Index> support;
  std::vector<Scalar> slope, g, dx;
  for (Index i = 0; i < p.rows(); ++i) {
    support.clear();
    slope.clear();
    g.clear();
    Scalar nan(0);
    for (Index j = 0; j < p.cols(); ++j) {
      if (p(i, j) == Scalar(0)) continue;
      if (is_nan(p(i, j))) nan = p(i, j);
      // Above alpha = 2 the weights stand there themselves, as slopes may exceed the scalar's range.
      const bool given = alpha == 1.0 || alpha > 2.0;
      support.push_back(j);
      slope.push_back(given ? Scalar(p(i, j)) : alpha == 2.0 ? Scalar(1) : detail::pow(Scalar(p(i, j)), 2.0 - alpha));
      g.push_back(dp(i, j));
    }
    dx.resize(support.size());
    if (support.empty()) continue;
    if (is_nan(nan)) {
      std::fill(dx.begin(), dx.end(), nan);
    } else if (alpha > 2.0) {
      const auto least = std::min_element(slope.begin(), slope.end());
      pull_by_ratios(
          static_cast<std::size_t>(least - slope.begin()), RowView<Scalar>(g),
          [&](std::size_t j) { return detail::pow(Scalar(*least / slope[j]), alpha - 2.0); },
          [&](std::size_t j) { return detail::pow(slope[j], 2.0 - alpha); }, RowOut<Scalar>(dx));
    } else {
      dx = slope;
      pull_slopes(RowView<Scalar>(g), RowOut<Scalar>(dx));
    }
    for (std::size_t j = 0; j < support.size(); ++j) result(i, support[j]) = dx[j];
  }
  return result;
}

/// alpha = 1, where the kernel is the Gaussian and has no alpha of its own: the limit
/// -1/2 sum_j p_j (log p_j)^2 (g_j - sum p g). log p_j comes from the coordinate, since p_j may
/// underflow.
template <class Scalar>
Scalar softmax_alpha_gradient(const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> p, RowView<Scalar> g) {
  const Scalar mean = sum<Scalar>(p.size(), [&](std::size_t j) { return Scalar(p[j] * g[j]); });
  const Scalar log_mass = detail::log(map.mass);
  return sum<Scalar>(p.size(), [&](std::size_t j) {
    if (p[j] == Scalar(0)) return Scalar(0);
    const Scalar log_p((t[j] - Scalar(1)) / Scalar(2) - log_mass);
    return Scalar(Scalar(-0.5) * p[j] * log_p * log_p * (g[j] - mean));
  });
}

}  // namespace detail

/// p_ij = exp(x_ij) / sum_k exp(x_ik), relative to the row's largest score, so that nothing
/// overflows. x and result [N x C]. O(N C).
template <RealExpression X>
RowMatrix<ScalarOf<X>> softmax(const X& x) {
  return detail::adaptive_weights(Gaussian{}, x, "softmax");
}

/// p_ij = [x_ij - tau_i]_+: the Euclidean projection of each row onto the distributions. x and
/// result [N x C]. O(C) a row for each of the few steps of Michelot's algorithm; the support is exact.
template <RealExpression X>
RowMatrix<ScalarOf<X>> sparsemax(const X& x) {
  return detail::adaptive_weights(Epanechnikov{}, x, "sparsemax");
}

/// p_ij = [(alpha - 1) x_ij - tau_i]_+^(1 / (alpha - 1)), alpha >= 1. x and result [N x C].
/// alpha = 1 is softmax; any other takes a few Newton steps of O(C) a row. Throws std::invalid_argument if alpha < 1 or NaN.
template <RealExpression X>
RowMatrix<ScalarOf<X>> entmax(const X& x, double alpha) {
  detail::require_alpha(alpha, "entmax");
  RowMatrix<ScalarOf<X>> weights;
  detail::with_entmax_kernel(alpha,
                             [&](const auto& kernel) { weights = detail::adaptive_weights(kernel, x, "entmax"); });
  return weights;
}

/// dL/dx = p (g - sum p g), from p = softmax(x) and g = dL/dp, all [N x C]. O(N C).
template <RealExpression P, RealExpression G>
RowMatrix<ScalarOf<P>> softmax_pullback(const P& p, const G& g) {
  return detail::pull_weights(p, g, 1.0, "softmax_pullback");
}

/// dL/dx = g - mean of g over the support, on the support, from p = sparsemax(x) and g = dL/dp, all
/// [N x C]. O(N C). A score exactly at the edge counts as outside: there the map has a kink, and
/// this is one of its one-sided derivatives.
template <RealExpression P, RealExpression G>
RowMatrix<ScalarOf<P>> sparsemax_pullback(const P& p, const G& g) {
  return detail::pull_weights(p, g, 2.0, "sparsemax_pullback");
}

/// dL/dx_j = s_j (g_j - sum s g / sum s), s_j = p_j^(2 - alpha) on the support, from
/// p = entmax(x, alpha) and g = dL/dp, all [N x C]. O(N C). Each row of the result sums to zero.
template <RealExpression P, RealExpression G>
RowMatrix<ScalarOf<P>> entmax_pullback(const P& p, const G& g, double alpha) {
  detail::require_alpha(alpha, "entmax_pullback");
  return detail::pull_weights(p, g, alpha, "entmax_pullback");
}

/// dL/dalpha, summed over the rows, from the scores x and g = dL/dp at p = entmax(x, alpha), both
/// [N x C]. Cost of entmax. Continuous into alpha = 1, where it is
/// -1/2 sum_j p_j (log p_j)^2 (g_j - sum p g).
template <RealExpression X, RealExpression G>
ScalarOf<X> entmax_alpha_gradient(const X& x, const G& g, double alpha) {
  using Scalar = ScalarOf<X>;
  static_assert(detail::check_scalar<Scalar>());
  static_assert(std::is_same_v<ScalarOf<G>, Scalar>, "scores and gradient must have the same scalar");
  detail::require_alpha(alpha, "entmax_alpha_gradient");
  detail::require_same_shape(x, g, "entmax_alpha_gradient", "scores and gradient");
  const Rows<Scalar> scores(x);
  const Rows<Scalar> grads(g);
  const auto dp = grads.matrix();
  engine::Wide<Scalar> sum(0);
  std::vector<Scalar> row_grad, unused;
  const auto sum_rows = [&](const auto& kernel, const auto& pull_row) {
    detail::for_each_score_row(kernel, scores, "entmax_alpha_gradient",
                               [&](Index i, const RowNormalizer<Scalar>& map, std::span<const KeyIndex> columns,
                                   RowView<Scalar> t, RowView<Scalar> p) {
                                 row_grad.clear();
                                 for (const KeyIndex j : columns) row_grad.push_back(dp(i, j));
                                 pull_row(map, t, p, RowView<Scalar>(row_grad));
                               });
  };
  if (alpha == 1.0) {
    sum_rows(Gaussian{}, [&](const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar> p, RowView<Scalar> row) {
      sum += engine::Wide<Scalar>(detail::softmax_alpha_gradient(map, t, p, row));
    });
  } else {
    const RectifiedPower kernel = RectifiedPower::with_alpha(alpha);
    const OwnedRowRule<Scalar, RectifiedPower, Adaptive> rule(kernel, Adaptive{}, 0.0);
    sum_rows(kernel, [&](const RowNormalizer<Scalar>& map, RowView<Scalar> t, RowView<Scalar>, RowView<Scalar> row) {
      unused.resize(t.size());
      ParameterGradients<Scalar> parameters;
      rule->unweigh(map, t, row, RowOut<Scalar>(unused), parameters);
      sum += engine::Wide<Scalar>(parameters.alpha);
    });
  }
  return static_cast<Scalar>(sum);
}

/// How many weights of each row are not zero: [N]. NaN counts. The type of the result is a parameter, so that including this
/// header instantiates nothing.
template <RealExpression P, class Sizes = Eigen::Matrix<Index, Eigen::Dynamic, 1>>
Sizes support_sizes(const P& p) {
  const Rows<ScalarOf<P>> rows(p);
  const auto weights = rows.matrix();
  Sizes sizes = Sizes::Zero(weights.rows());
  for (Index i = 0; i < weights.rows(); ++i) {
    for (Index j = 0; j < weights.cols(); ++j) sizes(i) += weights(i, j) == ScalarOf<P>(0) ? 0 : 1;
  }
  return sizes;
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
