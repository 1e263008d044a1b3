// Continuous, unordered and ordered columns of x.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// How a column of x measures the distance of two points.
enum class ColumnKind {
  continuous,  ///< a number, divided by a bandwidth h > 0
  unordered,   ///< a category; another one counts 0 <= lambda <= 1 times as much (Aitchison and Aitken 1976; Li and
               ///< Racine 2004)
  ordered,     ///< a category with a rank, its value: it counts lambda^|difference| (Li and Racine 2004)
};

namespace detail {

/// The columns of x with the continuous ones first, each kind in its order.
class ColumnOrder {
 public:
  /// kinds [D], or empty: all continuous.
  ColumnOrder(const std::vector<ColumnKind>& kinds, Index columns) {
    for (Index d = 0; d < columns; ++d) {
      if (kinds.empty() || kinds[static_cast<std::size_t>(d)] == ColumnKind::continuous) column_.push_back(d);
    }
    continuous_ = static_cast<Index>(column_.size());
    for (Index d = 0; d < columns && continuous_ < columns; ++d) {
      if (kinds[static_cast<std::size_t>(d)] == ColumnKind::continuous) continue;
      column_.push_back(d);
      ordered_.push_back(kinds[static_cast<std::size_t>(d)] == ColumnKind::ordered ? 1 : 0);
    }
  }

  Index size() const { return static_cast<Index>(column_.size()); }
  Index continuous() const { return continuous_; }
  Index categorical() const { return size() - continuous_; }
  bool ordered(Index category) const { return ordered_[static_cast<std::size_t>(category)] != 0; }
  /// The column of x at place d of this order.
  Index column(Index d) const { return column_[static_cast<std::size_t>(d)]; }

  /// The columns of m in this order.
  template <class M>
  RowMatrix<double> arranged(const M& m) const {
    RowMatrix<double> all(m.rows(), size());
    for (Index d = 0; d < size(); ++d) all.col(d) = m.col(column(d));
    return all;
  }

  Eigen::VectorXd arranged_vector(const Eigen::VectorXd& v) const {
    Eigen::VectorXd all(size());
    for (Index d = 0; d < size(); ++d) all(d) = v(column(d));
    return all;
  }

  /// The inverse of arranged_vector().
  Eigen::VectorXd restored(const Eigen::VectorXd& v) const {
    Eigen::VectorXd all(size());
    for (Index d = 0; d < size(); ++d) all(column(d)) = v(d);
    return all;
  }

  /// Points [N x D] in this order, continuous columns divided by their bandwidths.
  RowMatrix<double> scaled(const RowMatrix<double>& x, const Eigen::VectorXd& bandwidths) const {
    Eigen::VectorXd factors = arranged_vector(bandwidths).cwiseInverse();
    factors.tail(categorical()).setOnes();
    return arranged(x) * factors.asDiagonal();
  }

 private:
  std::vector<Index> column_;
  std::vector<char> ordered_;  ///< of the categorical columns
  Index continuous_ = 0;
};

/// How far apart two values of a categorical column are: the exponent of lambda.
inline double category_distance(bool ordered, double a, double b) {
  return ordered ? std::abs(a - b) : (a == b ? 0.0 : 1.0);
}

/// lambda^distance, 1 at no distance whatever lambda.
inline double category_weight(double lambda, double distance) {
  return distance == 0 ? 1.0 : std::pow(lambda, distance);
}

/// Its derivative by lambda.
inline double category_slope(double lambda, double distance) {
  return distance == 0 ? 0.0 : distance * std::pow(lambda, distance - 1);
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
