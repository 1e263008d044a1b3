// Weighted least squares with a ridge: the weights by which its intercept sums the values, and their pullback.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/mix/cholesky.hpp"
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
    if (rows > room_ || features > columns_.cols()) {
      room_ = (std::max)(room_, rows + rows / 2);
      columns_.resize(room_, (std::max)(features, Index(columns_.cols())));
      p_.resize(room_);
      tilt_.resize(room_);
      residual_.resize(room_);
    }
    mean_.resize(features);
    beta_.resize(features);
    nu_.resize(features);
  }

  Index rows() const { return rows_; }
  Index features() const { return mean_.size(); }

  /// [s x M], psi after fit().
  Columns columns() { return Columns(columns_.data(), rows_, features(), Eigen::OuterStride<>(room_)); }
  /// w, p after fit().
  Column weights() { return Column(p_.data(), rows_); }
  /// psi_j^T beta after fit().
  Column tilt() { return Column(tilt_.data(), rows_); }
  /// g_j - sum p g - psi_j^T nu after pull(g): what a fit of g leaves.
  Column residual() { return Column(residual_.data(), rows_); }
  const Vector& mean() const { return mean_; }
  const Vector& beta() const { return beta_; }
  const Vector& nu() const { return nu_; }
  const Scalar& total() const { return total_; }

  /// Weights are positive and finite; s >= 1.
  void fit(const Scalar& ridge) {
    ridge_ = ridge;
    auto p = weights();
    total_ = p.sum();
    p /= total_;
    auto psi = columns();
    for (Index m = 0; m < features(); ++m) {
      mean_(m) = p.dot(psi.col(m));
      psi.col(m).array() -= mean_(m);
    }
    by_rows_ = rows_ < features();
    by_rows_ ? fit_rows() : fit_features();
    // Its mean is zero but for rounding, which a small ridge amplifies.
    auto tilt = this->tilt();
    tilt.array() -= p.dot(tilt);
  }

  /// c_j = p_j (1 + tilt_j).
  template <class Out>
  void corrected(Out&& c) {
    c = weights().array() * (Scalar(1) + tilt().array());
  }

  /// For dL/dc = g: nu = (C + ridge I)^-1 sum p g psi and the residual. Then
  ///   dL/dw_j = ((1 + tilt_j) residual_j - ridge nu^T beta) / sum w,
  ///   dL/dphi_j = p_j (beta residual_j - nu (1 + tilt_j)),   dL/dridge = -nu^T beta.
  template <class G>
  void pull(const G& g) {
    auto p = weights();
    auto psi = columns();
    auto left = residual();
    left = g;
    left.array() -= p.dot(left);
    if (by_rows_) {
      // nu = W^T (G + ridge I)^-1 sqrt(p) g.
      solution_ = p.array().sqrt() * left.array();
      cholesky_solve(factor_, solution_);
      nu_.noalias() = scaled_.transpose() * solution_;
    } else {
      scratch_ = p.array() * left.array();
      for (Index m = 0; m < features(); ++m) nu_(m) = psi.col(m).dot(scratch_);
      cholesky_solve(factor_, nu_);
    }
    for (Index m = 0; m < features(); ++m) left -= Scalar(nu_(m)) * psi.col(m);
    ridge_slope_ = -nu_.dot(beta_);
  }

  Scalar ridge_slope() const { return ridge_slope_; }

  /// dL/dw after pull().
  template <class Out>
  void weight_slopes(Out&& slopes) {
    slopes = ((Scalar(1) + tilt().array()) * residual().array() + Scalar(ridge_ * ridge_slope_)) / total_;
  }

  /// The weights by which the coefficient of feature m sums values: p_j psi_j^T (C + ridge I)^-1 e_m.
  template <class Out>
  void slope_weights(Index m, Out&& out) {
    auto psi = columns();
    if (by_rows_) {
      // (C + ridge I)^-1 W^T sqrt(p) y = W^T (G + ridge I)^-1 sqrt(p) y.
      solution_ = scaled_.col(m);
      cholesky_solve(factor_, solution_);
      out = weights().array().sqrt() * solution_.array();
      return;
    }
    coefficient_.setZero(features());
    coefficient_(m) = Scalar(1);
    cholesky_solve(factor_, coefficient_);
    out.setZero();
    for (Index k = 0; k < features(); ++k) out += Scalar(coefficient_(k)) * psi.col(k);
    out.array() *= weights().array();
  }

 private:
  void fit_features() {
    auto p = weights();
    auto psi = columns();
    const Index n = features();
    factor_.resize(n, n);
    constexpr Index many = 12;
    if (n > many) {
      scaled_ = psi.array().colwise() * p.array();
      factor_.template triangularView<Eigen::Lower>() = psi.transpose() * scaled_;
    } else {
      for (Index m = 0; m < n; ++m) {
        scratch_ = p.array() * psi.col(m).array();
        for (Index k = m; k < n; ++k) factor_(k, m) = psi.col(k).dot(scratch_);
      }
    }
    factor_.diagonal().array() += ridge_;
    cholesky(factor_, ridge_);
    beta_ = -mean_;
    cholesky_solve(factor_, beta_);
    auto tilt = this->tilt();
    tilt.setZero();
    for (Index m = 0; m < n; ++m) tilt += Scalar(beta_(m)) * psi.col(m);
  }

  void fit_rows() {
    auto psi = columns();
    const auto root = weights().array().sqrt();
    scaled_ = psi.array().colwise() * root;
    factor_.resize(rows_, rows_);
    factor_.template triangularView<Eigen::Lower>() = scaled_ * scaled_.transpose();
    factor_.diagonal().array() += ridge_;
    cholesky(factor_, ridge_);
    solution_ = -(scaled_ * mean_);
    cholesky_solve(factor_, solution_);
    beta_ = -(mean_ + scaled_.transpose() * solution_) / ridge_;
    // A weight that underflows to zero has no root to divide by.
    auto p = weights();
    auto tilt = this->tilt();
    for (Index j = 0; j < rows_; ++j) {
      tilt(j) = p(j) > Scalar(0) ? Scalar(solution_(j) / detail::sqrt(Scalar(p(j)))) : Scalar(psi.row(j).dot(beta_));
    }
  }

  Index rows_ = 0;
  Index room_ = 0;
  bool by_rows_ = false;
  Scalar ridge_{0};
  Scalar total_{0};
  Scalar ridge_slope_{0};
  Square<Scalar> columns_;  ///< psi, in columns of room_ rows
  Square<Scalar> factor_;   ///< of C + ridge I, or of G + ridge I
  Square<Scalar> scaled_;   ///< rows p_j psi_j, or sqrt(p_j) psi_j
  Vector p_, tilt_, residual_, mean_, beta_, nu_, scratch_, solution_, coefficient_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
