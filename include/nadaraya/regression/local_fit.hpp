// A local polynomial fit at one query: the smoother's weights, and gradients by the bandwidths.
#pragma once

#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/mix/ridged_fit.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/neighborhood.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Fits at one query after the other. Memory: the largest support.
class LocalFit {
 public:
  explicit LocalFit(const LocalDesign& design) : design_(design), around_(design) {}

  /// Fits at q, in units of the scales, without the point `left_out` (-1: with all). False if no point has weight.
  bool fit(const Eigen::VectorXd& q, Index left_out) {
    around_.visit(q, left_out);
    const Index n = around_.count();
    if (n == 0) return false;
    fit_.resize(n, design_.monomials.size());
    if (corrected_.size() < n) {
      corrected_.resize(2 * n);
      slopes_.resize(2 * n);
      values_.resize(2 * n, design_.y.cols());
    }
    std::copy_n(around_.weights().data(), n, fit_.weights().data());
    auto phi = fit_.columns();
    if (phi.cols() > 0) {
      const Index d = design_.points.dimension();
      for (Index m = 0; m < d; ++m) std::copy_n(around_.offsets().col(m).data(), n, phi.col(m).data());
      if (design_.neighbors > 0) phi.leftCols(d) /= around_.radius();
      design_.monomials.fill(phi);
    }
    fit_.fit(design_.ridge);
    if (!(fit_.total() > 0)) return false;
    fit_.corrected(corrected_.data());
    for (Index o = 0; o < values_.cols(); ++o) {
      const double* const from = design_.y.data() + o;
      double* const to = values_.col(o).data();
      for (Index j = 0; j < n; ++j) to[j] = from[point(j) * values_.cols()];
    }
    return true;
  }

  /// How many points have weight.
  Index support() const { return (around_.weights().array() > 0).count(); }
  Index point(Index j) const { return around_.point(j); }
  /// c [s], some of them zero.
  auto corrected() const { return corrected_.head(around_.count()); }
  /// The values of the support [s x Dy].
  auto values() const { return values_.topRows(around_.count()); }
  /// sum_j c_j y_j
  Eigen::VectorXd predicted() const { return sum_of_values(corrected_.data()); }
  /// sum_j w_j y_j
  Eigen::VectorXd sum_of_values(const double* w) const {
    Eigen::VectorXd sums(values_.cols());
    for (Index o = 0; o < sums.size(); ++o) sums(o) = loops().inner_product(w, values_.col(o).data(), around_.count());
    return sums;
  }

  /// Where a point is in the support; -1 if it is not.
  Index position(Index point) const { return around_.position(point); }

  /// The weights by which the derivative by continuous column d sums values, in the units of the scaled query.
  void slope_weights(Index d, Eigen::VectorXd& out) {
    out.resize(around_.count());
    fit_.slope_weights(d, out);
    out /= around_.radius();
  }

  /// Adds factor d(g^T predicted) / d(log h_d), or by lambda, to gradient [D], in the order of the design. For a fixed
  /// bandwidth.
  void pull_prediction(const Eigen::VectorXd& g, double factor, Eigen::VectorXd& gradient) {
    fit_.residual().setZero();
    loops().add_columns(g.data(), around_.count(), values_.data(), values_.rows(), values_.cols(), fit_.residual().data());
    pull(factor, gradient);
  }

  /// Likewise of c_j of the point in position j.
  void pull_corrected(Index j, double factor, Eigen::VectorXd& gradient) {
    fit_.residual().setZero();
    fit_.residual()(j) = 1;
    pull(factor, gradient);
  }

 private:
  static const engine::ColumnLoops<double>& loops() { return engine::loops<double, engine::ColumnLoops>(); }

  /// Adds factor d(sum_j g_j c_j), g in fit_.residual().
  void pull(double factor, Eigen::VectorXd& gradient) {
    fit_.pull();
    fit_.weight_slopes(slopes_.data());
    for (Index d = 0; d < gradient.size(); ++d) {
      double sum = around_.pull(slopes_.data(), d);
      // sum_j (dL/dphi_jm) phi_jm = 2 ridge beta_m nu_m: only the ridge sees the units of phi.
      for (Index m = 0; m < design_.monomials.size() && d < design_.points.dimension(); ++m) {
        const auto exponent = static_cast<double>(design_.monomials.exponent(m, d));
        sum -= 2 * design_.ridge * exponent * fit_.beta()(m) * fit_.nu()(m);
      }
      gradient(d) += factor * sum;
    }
  }

  const LocalDesign& design_;
  Neighborhood around_;
  RidgedFit<double> fit_;
  Eigen::VectorXd corrected_, slopes_;  ///< [s], room for more
  Eigen::MatrixXd values_;              ///< likewise
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
