// Weighted least squares with a ridge: the weights by which its intercept sums the values, and their pullback.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/mix/cholesky.hpp"
#include "nadaraya/mix/small_system.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The fit of values y_j, j < s, by a + b^T phi_j, phi_j in R^M, that minimizes
///   sum_j w_j (y_j - a - b^T phi_j)^2 + ridge sum_j w_j |b|^2.
/// Its intercept is a = sum_j c_j y_j. With p = w / sum w, means phi^ = sum p phi, psi = phi - phi^ and C = sum p psi psi^T:
///   c_j = p_j (1 + psi_j^T beta),   beta = -(C + ridge I)^-1 phi^.
/// The c_j sum to one; no difference of nearly equal sums is formed. M x M, or for s < M in the s x s form
///   sqrt(p_j) psi_j^T beta = [(G + ridge I)^-1 W (-phi^)]_j,   W = rows sqrt(p_j) psi_j, G = W W^T.
/// Cost: O(s M min(s, M)) for C or G. The ridge is positive; memory is kept from one fit to the next.
template <class Scalar>
class RidgedFit {
 public:
  using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
  using Column = Eigen::Map<Vector>;
  using Columns = Eigen::Map<Square<Scalar>, 0, Eigen::OuterStride<>>;

  /// Room for s rows; weights and features are then to be set.
  void resize(Index rows, Index features) {
    rows_ = rows;
    features_ = features;
    if (rows > room_ || features > columns_.cols()) {
      room_ = (std::max)(room_, rows + rows / 2);
      columns_.resize(room_, (std::max)(features, Index(columns_.cols())));
      p_.resize(room_);
      tilt_.resize(room_);
      residual_.resize(room_);
      for (Vector* of_features : {&mean_, &beta_, &nu_, &coefficient_}) of_features->resize(columns_.cols() + past);
    }
  }

  Index rows() const { return rows_; }
  Index features() const { return features_; }

  /// [s x M], psi after fit().
  Columns columns() { return Columns(columns_.data(), rows_, features_, Eigen::OuterStride<>(room_)); }
  /// w, p after fit().
  Column weights() { return Column(p_.data(), rows_); }
  /// psi_j^T beta after fit().
  Column tilt() { return Column(tilt_.data(), rows_); }
  /// g_j - sum p g - psi_j^T nu after pull(g): what a fit of g leaves.
  Column residual() { return Column(residual_.data(), rows_); }
  auto beta() const { return beta_.head(features_); }
  auto nu() const { return nu_.head(features_); }
  /// sum w
  const Scalar& total() const { return total_; }

  /// Weights are finite, their sum positive; s >= 1. Without one that is, the fit is not finite.
  void fit(const Scalar& ridge) {
    ridge_ = ridge;
    total_ = loops().centre_columns(p_.data(), rows_, columns_.data(), room_, features_, mean_.data());
    by_rows_ = rows_ < features_;
    by_rows_ ? fit_rows() : fit_features();
    // Its mean is zero but for rounding, which a small ridge amplifies.
    loops().subtract(loops().inner_product(p_.data(), tilt_.data(), rows_), rows_, tilt_.data());
  }

  /// c_j = p_j (1 + tilt_j), into c [s].
  void corrected(Scalar* c) { loops().tilted(tilt_.data(), p_.data(), rows_, Scalar(0), Scalar(1), c); }

  /// For dL/dc = g: nu = (C + ridge I)^-1 sum p g psi and the residual. Then
  ///   dL/dw_j = ((1 + tilt_j) residual_j - ridge nu^T beta) / sum w,
  ///   dL/dphi_j = p_j (beta residual_j - nu (1 + tilt_j)),   dL/dridge = -nu^T beta.
  template <class G>
  void pull(const G& g) {
    residual() = g;
    pull();
  }

  /// pull(g) where residual() has been set to g.
  void pull() {
    loops().subtract(loops().inner_product(p_.data(), residual_.data(), rows_), rows_, residual_.data());
    if (by_rows_) {
      // nu = W^T (G + ridge I)^-1 sqrt(p) g.
      solution_.head(rows_) = weights().array().sqrt() * residual().array();
      system_.solve(solution_.data());
      nu_.head(features_).noalias() = scaled_.transpose() * solution_.head(rows_);
    } else {
      loops().products_with_columns(p_.data(), residual_.data(), rows_, columns_.data(), room_, features_, nu_.data());
      system_.solve(nu_.data());
    }
    coefficient_.head(features_) = -nu();
    loops().add_columns(coefficient_.data(), rows_, columns_.data(), room_, features_, residual_.data());
    ridge_slope_ = -nu().dot(beta());
  }

  Scalar ridge_slope() const { return ridge_slope_; }

  /// dL/dw after pull(), into slopes [s].
  void weight_slopes(Scalar* slopes) {
    loops().tilted(tilt_.data(), residual_.data(), rows_, Scalar(ridge_ * ridge_slope_), Scalar(Scalar(1) / total_), slopes);
  }

  /// The weights by which the coefficient of feature m sums values: p_j psi_j^T (C + ridge I)^-1 e_m.
  template <class Out>
  void slope_weights(Index m, Out&& out) {
    if (by_rows_) {
      // (C + ridge I)^-1 W^T sqrt(p) y = W^T (G + ridge I)^-1 sqrt(p) y.
      solution_.head(rows_) = scaled_.col(m);
      system_.solve(solution_.data());
      out = weights().array().sqrt() * solution_.head(rows_).array();
      return;
    }
    coefficient_.head(features_).setZero();
    coefficient_(m) = Scalar(1);
    system_.solve(coefficient_.data());
    out = (columns() * coefficient_.head(features_)).cwiseProduct(weights());
  }

 private:
  static constexpr Index past = SmallSystem<Scalar>::past;

  static const auto& loops() { return engine::loops<Scalar, engine::ColumnLoops>(); }

  void fit_features() {
    Scalar* const c = system_.begin(features_);
    loops().products_of_columns(p_.data(), rows_, columns_.data(), room_, features_, c, system_.stride());
    system_.factorize(ridge_);
    beta_.head(features_) = -mean_.head(features_);
    system_.solve(beta_.data());
    tilt().setZero();
    loops().add_columns(beta_.data(), rows_, columns_.data(), room_, features_, tilt_.data());
  }

  void fit_rows() {
    const auto mean = mean_.head(features_);
    scaled_ = columns().array().colwise() * weights().array().sqrt();
    Scalar* const g = system_.begin(rows_);
    Columns(g, rows_, rows_, Eigen::OuterStride<>(system_.stride())).template triangularView<Eigen::Lower>() = scaled_ * scaled_.transpose();
    system_.factorize(ridge_);
    solution_.resize(rows_ + past);
    solution_.head(rows_) = -(scaled_ * mean);
    system_.solve(solution_.data());
    beta_.head(features_) = -(mean + scaled_.transpose() * solution_.head(rows_)) / ridge_;
    // A weight that underflows to zero has no root to divide by.
    auto p = weights();
    auto tilt = this->tilt();
    for (Index j = 0; j < rows_; ++j) {
      tilt(j) = p(j) > Scalar(0) ? Scalar(solution_(j) / detail::sqrt(Scalar(p(j)))) : Scalar(columns().row(j).dot(beta()));
    }
  }

  Index rows_ = 0;
  Index features_ = 0;
  Index room_ = 0;
  bool by_rows_ = false;
  Scalar ridge_{0};
  Scalar total_{0};
  Scalar ridge_slope_{0};
  SmallSystem<Scalar> system_;  ///< C + ridge I, or G + ridge I
  Square<Scalar> columns_;      ///< psi, in columns of room_ rows
  Square<Scalar> scaled_;       ///< rows sqrt(p_j) psi_j
  Vector p_, tilt_, residual_, solution_;   ///< [s]
  Vector mean_, beta_, nu_, coefficient_;  ///< [M] and a pack past it
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
