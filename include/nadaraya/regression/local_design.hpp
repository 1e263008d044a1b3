// All that the fits of a regression share.
#pragma once

#include "nadaraya/mix/monomials.hpp"
#include "nadaraya/regression/any_kernel.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/kernel_inputs.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/scaled_points.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <limits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Data and bandwidths, prepared for fits: fit(q) = sum_j c_j(q) y_j. Queries and points have the columns of `order`.
struct LocalDesign {
  AnyKernel kernel;
  const RowMatrix<double>& y;      ///< [N x Dy]
  const Eigen::VectorXd& weights;  ///< of the observations [N], or empty: 1 each
  ColumnOrder order;
  ScaledPoints points;           ///< the continuous columns
  RowMatrix<double> categories;  ///< the others [N x Dc]
  Eigen::VectorXd lambdas;       ///< [Dc]
  Eigen::VectorXd factors;       ///< the bandwidth of point j is factors_j times that of all; empty: 1 each
  double reach = 0;              ///< |u|^2 within which points are looked for; infinite: all
  const std::vector<Index>& rows;  ///< at which a criterion is formed, ascending; empty: all
  Eigen::VectorXd mass;          ///< weights_j / factors_j^D, by which the kernel is multiplied; empty: 1 each
  Monomials monomials;
  double ridge = 0;     ///< in units of the bandwidth
  Index neighbors = 0;  ///< 0: a fixed bandwidth, 1 in units of the scales
};

/// Where criteria are formed.
class CriterionRows {
 public:
  explicit CriterionRows(const LocalDesign& design) : rows_(design.rows), all_(design.y.rows()) {
    const Eigen::VectorXd& w = design.weights;
    all_mass_ = w.size() == 0 ? static_cast<double>(all_) : w.sum();
    mass_ = rows_.empty() ? all_mass_ : w.size() == 0 ? static_cast<double>(count()) : w(rows_).sum();
  }
  Index count() const { return rows_.empty() ? all_ : static_cast<Index>(rows_.size()); }
  Index row(Index i) const { return rows_.empty() ? i : rows_[static_cast<std::size_t>(i)]; }
  /// The weights of the observations there.
  double mass() const { return mass_; }
  /// By this a sum over the rows becomes one over all, in expectation.
  double all_by_these() const { return all_mass_ / mass_; }

 private:
  const std::vector<Index>& rows_;
  Index all_;
  double all_mass_ = 0, mass_ = 0;
};

/// An exponential kernel's weights less than 2^-53 / N of the largest, which do not change a sum of N: those of points
/// whose |u|^2 exceeds the nearest one's by so much.
inline double negligible_distance(double rate, Index n) { return (37 + std::log(static_cast<double>(n))) / rate; }

/// The part of that distance by which points are looked for beyond it.
inline constexpr double spare_reach = 0.25;

/// The data outlive the design.
inline LocalDesign design_of(const KernelInputs& inputs) {
  const auto& [kernel, data, bandwidths, neighbors] = inputs;
  const ColumnOrder order(data.kinds, data.x.cols());
  const Eigen::VectorXd arranged = order.arranged_vector(bandwidths);
  const Index dimension = order.continuous();
  double reach = kernel.reach(dimension);
  if (data.factors.size() > 0) {
    reach *= std::pow(data.factors.maxCoeff(), 2);
  } else if (kernel.rate() > 0) {
    reach = (1 + spare_reach) * negligible_distance(kernel.rate(), data.x.rows());
  }
  double radius = reach < std::numeric_limits<double>::infinity() ? std::sqrt(reach) : 0.0;
  if (neighbors > 0) {
    radius = std::pow(static_cast<double>(neighbors) / static_cast<double>(data.x.rows()),
                      1.0 / static_cast<double>(dimension));
  }
  const RowMatrix<double> x = order.arranged(data.x);
  LocalDesign design{kernel,
                     data.y,
                     data.weights,
                     order,
                     ScaledPoints(x.leftCols(dimension), arranged.head(dimension), radius),
                     x.rightCols(order.categorical()),
                     arranged.tail(order.categorical()),
                     data.factors,
                     reach,
                     data.rows,
                     data.weights,
                     Monomials(dimension, data.degree),
                     data.ridge,
                     neighbors};
  if (data.factors.size() > 0) {
    design.mass = data.factors.array().pow(-static_cast<double>(dimension));
    if (data.weights.size() > 0) design.mass.array() *= data.weights.array();
  }
  return design;
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
