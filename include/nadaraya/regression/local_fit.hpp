// A local polynomial fit at one query: the smoother's weights, and gradients by the bandwidths.
#pragma once

#include "nadaraya/mix/monomials.hpp"
#include "nadaraya/mix/ridged_fit.hpp"
#include "nadaraya/regression/kernel_on_squares.hpp"
#include "nadaraya/regression/scaled_points.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// All that the fits of a regression share: fit(q) = sum_j c_j(q) y_j.
struct LocalDesign {
  KernelOnSquares kernel;
  const RowMatrix<double>& y;           ///< [N x Dy]
  const Eigen::VectorXd& weights;       ///< [N], or empty: 1 each
  ScaledPoints points;
  Monomials monomials;
  double ridge = 0;                     ///< in units of the bandwidth
  Index neighbors = 0;                  ///< 0: a fixed bandwidth, 1 in units of the scales
};

/// Fits at one query after the other. Memory: the largest support.
class LocalFit {
 public:
  explicit LocalFit(const LocalDesign& design) : design_(design) {}

  /// Fits at q, in units of the scales, without the point `left_out` (-1: with all). False if no point has weight.
  bool fit(const Eigen::VectorXd& q, Index left_out) {
    square_ = 1;
    find(q, left_out);
    radius_ = std::sqrt(square_);
    self_ = left_out >= 0 ? position(left_out) : -1;
    const Index n = found_.count;
    if (n == 0) return false;
    fit_.resize(n, design_.monomials.size());
    weigh();
    if (!(fit_.weights().sum() > 0)) return false;
    auto phi = fit_.columns();
    if (phi.cols() > 0) {
      const Index d = design_.points.dimension();
      phi.leftCols(d) = found_.offsets.topRows(n) / radius_;
      design_.monomials.fill(phi);
    }
    fit_.fit(design_.ridge);
    corrected_.resize(n);
    fit_.corrected(corrected_);
    values_.resize(n, design_.y.cols());
    for (Index o = 0; o < values_.cols(); ++o) {
      for (Index j = 0; j < n; ++j) values_(j, o) = design_.y(found_.points[static_cast<std::size_t>(j)], o);
    }
    return true;
  }

  Index support() const { return support_; }
  Index point(Index j) const { return found_.points[static_cast<std::size_t>(j)]; }
  /// c [s], some of them zero.
  const Eigen::VectorXd& corrected() const { return corrected_; }
  /// The values of the support [s x Dy].
  const Eigen::MatrixXd& values() const { return values_; }
  Eigen::VectorXd predicted() const { return values_.transpose() * corrected_; }

  /// Where a point is in the support; -1 if it is not.
  Index position(Index point) const {
    const auto end = found_.points.begin() + found_.count;
    const auto at = std::find(found_.points.begin(), end, static_cast<KeyIndex>(point));
    return at == end ? -1 : at - found_.points.begin();
  }

  /// The weights by which the derivative by column d sums values, in the units of the scaled query.
  void slope_weights(Index d, Eigen::VectorXd& out) {
    out.resize(found_.count);
    fit_.slope_weights(d, out);
    out /= radius_;
  }

  /// Adds factor d(sum_j g_j c_j) / d(log h_d) to gradient [D]. For a fixed bandwidth.
  template <class G>
  void pull_bandwidths(const G& g, double factor, Eigen::VectorXd& gradient) {
    const Index n = found_.count, dimension = design_.points.dimension();
    fit_.pull(g);
    slopes_.resize(n);
    fit_.weight_slopes(slopes_);
    slopes_.array() *= kernel_slopes_.head(n).array();
    for (Index d = 0; d < dimension; ++d) {
      double sum = 2 * slopes_.dot(found_.offsets.col(d).head(n).cwiseAbs2());
      // sum_j (dL/dphi_jm) phi_jm = 2 ridge beta_m nu_m: only the ridge sees the units of phi.
      for (Index m = 0; m < design_.monomials.size(); ++m) {
        const auto exponent = static_cast<double>(design_.monomials.exponent(m, d));
        sum -= 2 * design_.ridge * exponent * fit_.beta()(m) * fit_.nu()(m);
      }
      gradient(d) += factor * sum;
    }
  }

 private:
  void find(const Eigen::VectorXd& q, Index left_out) {
    const ScaledPoints& points = design_.points;
    if (design_.neighbors == 0) {
      return points.find(q, design_.kernel.compact() ? 1.0 : std::numeric_limits<double>::infinity(), found_);
    }
    // The distance to the (k + 1)-th point, the one that is left out not counted.
    const Index wanted = design_.neighbors + (left_out >= 0 ? 2 : 1);
    double bound = std::pow(static_cast<double>(wanted) / static_cast<double>(points.size()),
                            2.0 / static_cast<double>(points.dimension()));
    for (points.find(q, bound, found_); found_.count < wanted && found_.count < points.size();) {
      bound *= 2;
      points.find(q, bound, found_);
    }
    order_.assign(found_.squares.data(), found_.squares.data() + found_.count);
    const auto last = order_.begin() + (wanted - 1);
    std::nth_element(order_.begin(), last, order_.end());
    square_ = *last > 0 ? *last : 1e-300;  // at no distance, points count alike
    points.find(q, square_, found_);
  }

  /// w = weight kappa(t), and its derivative by t.
  void weigh() {
    const Index n = found_.count;
    if (kernel_slopes_.size() < n) kernel_slopes_.resize(2 * n);
    auto w = fit_.weights();
    double* const weight = w.data();
    double* const slope = kernel_slopes_.data();
    design_.kernel(found_.squares.data(), n, square_, self_, weight, slope);
    if (design_.weights.size() > 0) {
      for (Index j = 0; j < n; ++j) {
        weight[j] *= design_.weights(point(j));
        slope[j] *= design_.weights(point(j));
      }
    }
    if (self_ >= 0) weight[self_] = slope[self_] = 0;
    support_ = 0;
    for (Index j = 0; j < n; ++j) support_ += weight[j] > 0 ? 1 : 0;
  }

  const LocalDesign& design_;
  FoundPoints found_;
  RidgedFit<double> fit_;
  double radius_ = 1, square_ = 1;  ///< the bandwidth in units of the scales, and its square
  Index self_ = -1;    ///< the point that is left out, in the support
  Index support_ = 0;
  Eigen::VectorXd corrected_, kernel_slopes_, slopes_;
  Eigen::MatrixXd values_;
  std::vector<double> order_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
