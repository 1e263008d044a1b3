// Fenchel-Young losses: what to train the scores of softmax, sparsemax and alpha-entmax with.
#pragma once

#include "nadaraya/entmax.hpp"

#include <concepts>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Losses [N], one for each row of scores, and the gradient of their sum by the scores [N x C].
template <class Scalar>
struct FenchelYoungLoss {
  Eigen::Matrix<Scalar, Eigen::Dynamic, 1> losses;  ///< [N], none negative
  RowMatrix<Scalar> gradient;  ///< [N x C], of the sum of the losses by the scores: p - y
};

/// A list of class indices: std::vector or std::span of integers, an Eigen vector of integers.
template <class T>
concept ClassIndices = !RealExpression<T> && requires(const T& labels) {
  { labels.size() } -> std::convertible_to<Index>;
  requires std::integral<std::remove_cvref_t<decltype(labels[0])>>;
};

namespace detail {

/// The losses, with target(i, j) the target distributions.
///
/// L(z, y) = Omega(y) - Omega(p) + z.(p - y) is put together from one non-negative term per class,
/// so that nothing cancels between classes. With b_j = r (1 - t_j), r = 1 / (alpha - 1), the depth
/// of class j below full weight (p_j = [1 - b_j / r]_+^r; -log p_j at alpha = 1), and
/// log_alpha(y) = (y^(alpha - 1) - 1) / (alpha - 1), since both y and p sum to one:
///   L = sum_j y_j (b_j + (log_alpha(y_j) - 1) / alpha) + p_j^alpha / alpha.
/// Each term is the Bregman divergence of p^alpha / (alpha (alpha - 1)) from p_j to y_j, and more
/// where class j lies outside the support.
template <class Scalar, class Target>
FenchelYoungLoss<Scalar> fenchel_young(const Rows<Scalar>& rows, double alpha, const Target& target,
                                       const char* function) {
  const auto z = rows.matrix();
  const Index classes = z.cols();
  FenchelYoungLoss<Scalar> result{Eigen::Matrix<Scalar, Eigen::Dynamic, 1>(z.rows()),
                                  RowMatrix<Scalar>::Zero(z.rows(), classes)};
  const auto log_alpha = [&](const Scalar& y) {
    if (alpha == 1.0) return detail::log(y);
    return Scalar(detail::expm1(Scalar(Scalar(alpha - 1.0) * detail::log(y))) / Scalar(alpha - 1.0));
  };
  with_entmax_kernel(alpha, [&](const auto& kernel) {
    for_each_score_row(
        kernel, rows, function,
        [&](Index i, const RowNormalizer<Scalar>& map, std::span<const KeyIndex> columns, RowView<Scalar>, RowView<Scalar> p) {
          for (std::size_t j = 0; j < columns.size(); ++j) result.gradient(i, columns[j]) = p[j];
          const Scalar mass(map.mass < Scalar(0) ? Scalar(1) : map.mass);  // negative: see underflowing.hpp
          const Scalar top_depth(map.width * (Scalar(centre(kernel)) - map.offset) + detail::log(mass));
          const Scalar loss = sum<Scalar>(static_cast<std::size_t>(classes), [&](std::size_t column) {
            const auto j = static_cast<Index>(column);
            Scalar& gradient = result.gradient(i, j);
            Scalar term(detail::pow(gradient, alpha) / Scalar(alpha));
            const Scalar y = target(i, j);
            if (!(y == Scalar(0))) {
              const Scalar depth((map.pivot - z(i, j)) + top_depth);  // infinite where z is -infinity
              term += y * (depth + (log_alpha(y) - Scalar(1)) / Scalar(alpha));
              gradient -= y;
            }
            return term;
          });
          result.losses(i) = loss < Scalar(0) ? Scalar(0) : loss;
        });
  });
  return result;
}

template <RealExpression Z, class Targets>
FenchelYoungLoss<ScalarOf<Z>> checked_loss(const Z& z, const Targets& targets, double alpha, const char* function) {
  using Scalar = ScalarOf<Z>;
  static_assert(check_scalar<Scalar>());
  require_alpha(alpha, function);
  const Rows<Scalar> scores(z);
  if constexpr (RealExpression<Targets>) {
    static_assert(std::is_same_v<ScalarOf<Targets>, Scalar>, "scores and targets must have the same scalar");
    require_same_shape(z, targets, function, "scores and targets");
    const Rows<Scalar> target_rows(targets);
    const auto y = target_rows.matrix();
    for (Index i = 0; i < y.rows(); ++i) {
      bool distribution = y.cols() > 0;
      Scalar total(0);
      for (Index j = 0; j < y.cols(); ++j) {
        distribution = distribution && y(i, j) >= Scalar(0);
        total += y(i, j);
      }
      require(distribution && detail::abs(Scalar(total - Scalar(1))) <= Scalar(1e-4), function, ": targets: row ", i,
              " is not a distribution: its entries must not be negative and must sum to 1");
    }
    return fenchel_young(
        scores, alpha, [&](Index i, Index j) { return Scalar(y(i, j)); }, function);
  } else {
    static_assert(ClassIndices<Targets>, "targets are class indices or a matrix of distributions");
    const auto count = static_cast<Index>(targets.size());
    require(count == z.rows(), function, ": need one class index for each row of the scores ", shape(z), ", got ",
            count);
    // Indexed with the type that size() has, which differs between vectors and Eigen.
    const auto label = [&](Index i) { return targets[static_cast<decltype(targets.size())>(i)]; };
    for (Index i = 0; i < count; ++i) {
      require(label(i) >= 0 && static_cast<Index>(label(i)) < z.cols(), function, ": targets: class index ", label(i),
              " of row ", i, " is not in [0, ", z.cols(), ")");
    }
    return fenchel_young(
        scores, alpha, [&](Index i, Index j) { return Scalar(static_cast<Index>(label(i)) == j ? 1 : 0); }, function);
  }
}

}  // namespace detail

/// The Fenchel-Young loss of alpha-entmax, for each row z of the scores and its target y:
///   L(z, y) = Omega*(z) + Omega(y) - z.y = Omega(y) - Omega(p) + z.(p - y),   p = entmax(z, alpha),
///   Omega(p) = (sum p_j^alpha - 1) / (alpha (alpha - 1)),  at alpha = 1: sum p_j log p_j.
/// Convex in z, never negative, zero iff p = y; its gradient is p - y. At alpha = 1 it is the
/// cross-entropy less the entropy of the target. For alpha > 1 it is exactly zero once the target
/// class leads by 1 / (alpha - 1).
///
/// scores [N x C]; targets: N class indices, or distributions [N x C] (each row non-negative, of
/// sum 1 within 1e-4). Cost of entmax. Absolute error: a few epsilon times (1 + loss).
/// Special values: a target class with score -infinity costs +infinity; NaN or +infinity in a row
/// makes its loss and gradient NaN.
/// Errors: std::invalid_argument if alpha < 1 or NaN, a shape does not match, a class index is out
/// of range or a row of targets is no distribution.
/// Source: Blondel, Martins & Niculae 2020, "Learning with Fenchel-Young losses".
template <RealExpression Z, class Targets>
FenchelYoungLoss<ScalarOf<Z>> entmax_loss(const Z& scores, const Targets& targets, double alpha) {
  return detail::checked_loss(scores, targets, alpha, "entmax_loss");
}

/// entmax_loss at alpha = 1: log sum exp(z) - z.y + sum y log y. For class indices, cross-entropy.
template <RealExpression Z, class Targets>
FenchelYoungLoss<ScalarOf<Z>> softmax_loss(const Z& scores, const Targets& targets) {
  return detail::checked_loss(scores, targets, 1.0, "softmax_loss");
}

/// entmax_loss at alpha = 2 (Martins & Astudillo 2016, section 3).
template <RealExpression Z, class Targets>
FenchelYoungLoss<ScalarOf<Z>> sparsemax_loss(const Z& scores, const Targets& targets) {
  return detail::checked_loss(scores, targets, 2.0, "sparsemax_loss");
}

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
