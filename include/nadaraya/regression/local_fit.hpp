// A local polynomial fit at one query: the smoother's weights, and gradients by the bandwidths.
#pragma once

#include "nadaraya/mix/ridged_fit.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/neighborhood.hpp"
#include "nadaraya/types.hpp"

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
    fit_.weights() = around_.weights();
    support_ = (around_.weights().array() > 0).count();
    if (!(fit_.weights().sum() > 0)) return false;
    auto phi = fit_.columns();
    if (phi.cols() > 0) {
      const Index d = design_.points.dimension();
      phi.leftCols(d) = around_.offsets();
      if (design_.neighbors > 0) phi.leftCols(d) /= around_.radius();
      design_.monomials.fill(phi);
    }
    fit_.fit(design_.ridge);
    corrected_.resize(n);
    fit_.corrected(corrected_);
    values_.resize(n, design_.y.cols());
    for (Index o = 0; o < values_.cols(); ++o) {
      for (Index j = 0; j < n; ++j) values_(j, o) = design_.y(point(j), o);
    }
    return true;
  }

  Index support() const { return support_; }
  Index point(Index j) const { return around_.point(j); }
  /// c [s], some of them zero.
  const Eigen::VectorXd& corrected() const { return corrected_; }
  /// The values of the support [s x Dy].
  const Eigen::MatrixXd& values() const { return values_; }
  Eigen::VectorXd predicted() const { return values_.transpose() * corrected_; }

  /// Where a point is in the support; -1 if it is not.
  Index position(Index point) const { return around_.position(point); }

  /// The weights by which the derivative by continuous column d sums values, in the units of the scaled query.
  void slope_weights(Index d, Eigen::VectorXd& out) {
    out.resize(around_.count());
    fit_.slope_weights(d, out);
    out /= around_.radius();
  }

  /// Adds factor d(sum_j g_j c_j) / d(log h_d), or by lambda, to gradient [D], in the order of the design. For a fixed
  /// bandwidth.
  template <class G>
  void pull_bandwidths(const G& g, double factor, Eigen::VectorXd& gradient) {
    fit_.pull(g);
    slopes_.resize(around_.count());
    fit_.weight_slopes(slopes_);
    for (Index d = 0; d < gradient.size(); ++d) {
      double sum = around_.pull(slopes_, d);
      // sum_j (dL/dphi_jm) phi_jm = 2 ridge beta_m nu_m: only the ridge sees the units of phi.
      for (Index m = 0; m < design_.monomials.size() && d < design_.points.dimension(); ++m) {
        const auto exponent = static_cast<double>(design_.monomials.exponent(m, d));
        sum -= 2 * design_.ridge * exponent * fit_.beta()(m) * fit_.nu()(m);
      }
      gradient(d) += factor * sum;
    }
  }

 private:
  const LocalDesign& design_;
  Neighborhood around_;
  RidgedFit<double> fit_;
  Index support_ = 0;
  Eigen::VectorXd corrected_, slopes_;
  Eigen::MatrixXd values_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
