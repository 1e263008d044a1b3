// The points that count at one query: their kernel weights, with derivatives by the bandwidths.
#pragma once

#include "nadaraya/loops/chosen.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/scaled_points.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// w_j = weight_j kappa(u_j) prod_c lambda_c^distance for the points within the bandwidth of a query, up to a common
/// factor exp(log_factor()). Visits one query after the other. Memory: the largest support.
class Neighborhood {
 public:
  explicit Neighborhood(const LocalDesign& design) : design_(design) {}

  /// Finds and weighs the points around q, in units of the scales, but for the point `left_out` (-1: none).
  void visit(const Eigen::VectorXd& q, Index left_out) {
    const Index dimension = design_.points.dimension();
    square_ = 1;
    find(q.head(dimension), left_out);
    keep_inside(dimension);
    weigh(dimension);
    if (misses_points()) {
      design_.points.find(q.head(dimension), std::numeric_limits<double>::infinity(), left_out, found_);
      weigh(dimension);
    }
    if (design_.mass.size() > 0) weigh_masses();
    if (design_.categories.cols() > 0) weigh_categories(q.tail(design_.categories.cols()));
  }

  Index count() const { return found_.count; }
  Index point(Index j) const { return found_.points[static_cast<std::size_t>(j)]; }
  /// w, some of them zero.
  auto weights() const { return weights_.head(count()); }
  double log_factor() const { return log_factor_; }
  /// Points minus the query, in units of the scales.
  auto offsets() const { return found_.offsets.topRows(count()); }
  /// The bandwidth in units of the scales: 1 unless by neighbors.
  double radius() const { return std::sqrt(square_); }

  /// Where a point is in the list; -1 if it is not.
  Index position(Index point) const {
    const auto end = found_.points.begin() + found_.count;
    const auto at = std::find(found_.points.begin(), end, static_cast<KeyIndex>(point));
    return at == end ? -1 : at - found_.points.begin();
  }

  /// sum_j g_j dw_j / d(log h_d), or by lambda: of column d of the design's order. For a fixed bandwidth.
  double pull(const double* g, Index d) const {
    const Index n = count(), dimension = design_.points.dimension();
    const auto& loops = engine::loops<double, engine::ColumnLoops>();
    if (d >= dimension) return loops.inner_product(g, category_slopes_.col(d - dimension).data(), n);
    const Eigen::MatrixXd& offsets = design_.factors.size() > 0 ? shrunk_offsets_ : found_.offsets;
    const double rate = design_.kernel.rate();
    const double* const slopes = rate > 0 ? weights_.data() : slopes_.col(design_.kernel.separate() ? d : 0).data();
    return (rate > 0 ? 2 * rate : 2) * loops.inner_product_of_squares(g, slopes, offsets.col(d).data(), n);
  }

 private:
  void find(const Eigen::VectorXd& q, Index left_out) {
    const ScaledPoints& points = design_.points;
    if (design_.neighbors == 0) {
      points.find(q, design_.reach, left_out, found_);
      return;
    }
    // The distance to the (k + 1)-th point.
    const Index wanted = design_.neighbors + 1;
    double bound = std::pow(static_cast<double>(wanted) / static_cast<double>(points.size()),
                            2.0 / static_cast<double>(points.dimension()));
    for (points.find(q, bound, left_out, found_); found_.count < wanted;) {
      bound *= 2;
      points.find(q, bound, left_out, found_);
    }
    order_.assign(found_.squares.data(), found_.squares.data() + found_.count);
    const auto last = order_.begin() + (wanted - 1);
    std::nth_element(order_.begin(), last, order_.end());
    square_ = *last > 0 ? *last : 1e-300;  // at no distance, points count alike
    points.find(q, square_, left_out, found_);
  }

  /// Are there points outside the reach of an exponential kernel whose weights are not negligible next to the nearest point's?
  bool misses_points() const {
    if (design_.kernel.rate() == 0 || !(design_.reach < std::numeric_limits<double>::infinity())) return false;
    return count() == 0 || nearest_ > design_.reach * (spare_reach / (1 + spare_reach));
  }

  /// Drops the points that were found for another's bandwidth, or outside the box of a product.
  void keep_inside(Index dimension) {
    const bool separate = design_.kernel.separate(), narrowed = design_.factors.size() > 0;
    if (!design_.kernel.compact() || !(separate || narrowed)) return;
    found_.keep([&](Index j) {
      const double factor = narrowed ? design_.factors(point(j)) : 1.0;
      if (!separate) return found_.squares(j) / (factor * factor) < 1;
      for (Index d = 0; d < dimension; ++d) {
        const double u = found_.offsets(j, d) / factor;
        if (!(u * u < 1)) return false;
      }
      return true;
    });
  }

  void weigh(Index dimension) {
    const Index n = count();
    log_factor_ = 0;
    if (n == 0) return;
    if (weights_.size() < n) {
      weights_.resize(2 * n);
      slopes_.resize(2 * n, design_.kernel.slopes(dimension));
      category_slopes_.resize(2 * n, design_.categories.cols());
    }
    if (design_.factors.size() == 0) {
      weigh({found_.offsets, found_.squares, n, square_});
    } else {
      shrunk_offsets_.resize(found_.offsets.rows(), dimension);
      shrunk_squares_.resize(found_.offsets.rows());
      for (Index j = 0; j < n; ++j) {
        const double factor = design_.factors(point(j));
        for (Index d = 0; d < dimension; ++d) shrunk_offsets_(j, d) = found_.offsets(j, d) / factor;
        shrunk_squares_(j) = found_.squares(j) / (factor * factor);
      }
      weigh({shrunk_offsets_, shrunk_squares_, n, square_});
    }
  }

  void weigh(const PointDistances& at) {
    const double rate = design_.kernel.rate();
    if (rate == 0) return design_.kernel(at, weights_.data(), slopes_);
    // Relative to the nearest point, so that not all underflow. Its bandwidth is fixed: 1.
    nearest_ = engine::loops<double, engine::ColumnLoops>().exponentials(at.squares.data(), at.count, rate, weights_.data());
    log_factor_ = -rate * nearest_;
  }

  void weigh_masses() {
    for (Index j = 0; j < count(); ++j) {
      const double mass = design_.mass(point(j));
      weights_(j) *= mass;
      for (Index c = 0; c < slopes_.cols(); ++c) slopes_(j, c) *= mass;
    }
  }

  void weigh_categories(const Eigen::VectorXd& q) {
    const Index n = count(), categories = q.size();
    factors_.resize(categories);
    for (Index j = 0; j < n; ++j) {
      const auto distance = [&](Index c) {
        return category_distance(design_.order.ordered(c), design_.categories(point(j), c), q(c));
      };
      double all = 1;
      for (Index c = 0; c < categories; ++c) {
        factors_(c) = category_weight(design_.lambdas(c), distance(c));
        all *= factors_(c);
      }
      for (Index c = 0; c < categories; ++c) {
        double slope = category_slope(design_.lambdas(c), distance(c));
        for (Index other = 0; other < categories; ++other) slope *= other == c ? 1.0 : factors_(other);
        category_slopes_(j, c) = weights_(j) * slope;
      }
      weights_(j) *= all;
      for (Index d = 0; d < slopes_.cols(); ++d) slopes_(j, d) *= all;
    }
  }

  const LocalDesign& design_;
  FoundPoints found_;
  double square_ = 1;  ///< of the bandwidth, in units of the scales
  double log_factor_ = 0;
  double nearest_ = 0;  ///< |u|^2 of the nearest point, of an exponential kernel
  Eigen::VectorXd weights_;
  Eigen::MatrixXd slopes_;           ///< the kernel's derivatives, as AnyKernel gives them
  Eigen::MatrixXd category_slopes_;  ///< dw_j / dlambda_c
  Eigen::MatrixXd shrunk_offsets_;   ///< divided by the factors of the points
  Eigen::VectorXd shrunk_squares_;
  Eigen::VectorXd factors_;  ///< of one point, for each categorical column
  std::vector<double> order_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
