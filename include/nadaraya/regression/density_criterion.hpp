// How well a density predicts the points that it is left without.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/density_design.hpp"
#include "nadaraya/regression/neighborhood.hpp"
#include "nadaraya/regression/scaled_points.hpp"
#include "nadaraya/regression/self_convolution.hpp"
#include "nadaraya/regression/smoother_error.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// A value, and its gradient in the order of the design.
struct ValueWithSlopes {
  double value = 0;
  Eigen::VectorXd slopes;
};

/// Sums add(i, sum) over the rows of a design, from which it estimates the sum over all, in chunks, in an order that does not
/// depend on the executor. make() makes a chunk's add.
template <class Make>
ValueWithSlopes sum_over_rows(const LocalDesign& design, Index parameters, const AnyExecutor& executor, const Make& make) {
  const CriterionRows rows(design);
  const ValueWithSlopes zero{0, Eigen::VectorXd::Zero(parameters)};
  std::vector<ValueWithSlopes> sums(static_cast<std::size_t>((rows.count() + rows_per_chunk - 1) / rows_per_chunk), zero);
  for_row_chunks(rows.count(), cost_of_fit(design), executor, [&](Index first, Index last, Index chunk) {
    ValueWithSlopes sum = zero;
    auto add = make();
    for (Index i = first; i < last; ++i) add(rows.row(i), sum);
    sums[static_cast<std::size_t>(chunk)] = std::move(sum);
  });
  ValueWithSlopes total = zero;
  for (const ValueWithSlopes& sum : sums) {
    total.value += sum.value;
    total.slopes += sum.slopes;
  }
  total.value *= rows.all_by_these();
  total.slopes *= rows.all_by_these();
  return total;
}

/// log f_i(x_i) at one point after the other, and its gradient.
class LeftOutDensity {
 public:
  explicit LeftOutDensity(const DensityDesign& design) : design_(design), around_(design.local) {}

  /// -infinity if the point is alone.
  double log_density(const Eigen::VectorXd& q, Index i) {
    around_.visit(q, i);
    sum_ = around_.weights().sum();
    if (!(sum_ > 0)) return -std::numeric_limits<double>::infinity();
    return std::log(sum_) + around_.log_factor() - design_.log_normalizer - std::log(design_.total - design_.weight(i));
  }

  /// Adds factor d(log f) / d(log h, lambda). Where it is finite.
  void add_slopes(double factor, Eigen::VectorXd& slopes) {
    const Index continuous = design_.local.order.continuous();
    shares_.setConstant(around_.count(), 1 / sum_);
    for (Index d = 0; d < slopes.size(); ++d) {
      double slope = around_.pull(shares_.data(), d);
      for (Index j = 0; j < around_.count() && d >= continuous; ++j) {
        slope += around_.weights()(j) / sum_ * design_.mass_slopes(around_.point(j), d - continuous);
      }
      slopes(d) += factor * (d < continuous ? slope - 1 : slope);
    }
  }

 private:
  const DensityDesign& design_;
  Neighborhood around_;
  double sum_ = 0;
  Eigen::VectorXd shares_;
};

/// log f at q [Nq x D], in units of the design.
inline Eigen::VectorXd log_densities(const DensityDesign& design, const RowMatrix<double>& q,
                                     const AnyExecutor& executor) {
  Eigen::VectorXd result(q.rows());
  for_row_chunks(q.rows(), cost_of_fit(design.local), executor, [&](Index first, Index last, Index) {
    Neighborhood around(design.local);
    Eigen::VectorXd query;
    for (Index i = first; i < last; ++i) {
      query = q.row(i).transpose();
      around.visit(query, -1);
      const double sum = around.weights().sum();
      result(i) = sum > 0 ? std::log(sum) + around.log_factor() - design.log_normalizer - std::log(design.total)
                          : -std::numeric_limits<double>::infinity();
    }
  });
  return result;
}

/// x [N x D]: the points, as the columns of the data; q likewise in units of the design.
inline ValueWithSlopes likelihood_criterion(const DensityDesign& design, const RowMatrix<double>& x,
                                            const RowMatrix<double>& q, const AnyExecutor& executor) {
  const auto n = static_cast<double>(x.rows());
  double least = -2 * std::log(n);
  for (Index d = 0; d < design.local.order.continuous(); ++d) {
    const auto column = x.col(design.local.order.column(d));
    const double range = column.maxCoeff() - column.minCoeff();
    if (range > 0) least -= std::log(range);
  }
  for (const auto& levels : design.levels) least -= std::log(static_cast<double>(levels.size()));
  const auto make = [&] {
    return [&, left = LeftOutDensity(design), query = Eigen::VectorXd()](Index i, ValueWithSlopes& sum) mutable {
      query = q.row(i).transpose();
      const double share = design.weight(i) / design.total, value = left.log_density(query, i);
      sum.value -= share * (value > least ? value : least);
      if (value > least) left.add_slopes(-share, sum.slopes);
    };
  };
  return sum_over_rows(design.local, q.cols(), executor, make);
}

/// The kernels of pairs of levels of a categorical column, summed over all levels, and their derivatives by lambda.
struct LevelPairs {
  Eigen::MatrixXd values, slopes;
  std::vector<std::size_t> level;  ///< of each point
};

inline LevelPairs level_pairs(const DensityDesign& design, Index c) {
  const std::vector<double>& levels = design.levels[static_cast<std::size_t>(c)];
  const auto count = static_cast<Index>(levels.size());
  const bool ordered = design.local.order.ordered(c);
  const double lambda = design.local.lambdas(c);
  Eigen::MatrixXd kernel(count, count), slope(count, count);  // row: the level of the point; summing to 1
  for (Index a = 0; a < count; ++a) {
    for (Index l = 0; l < count; ++l) {
      const double distance =
          category_distance(ordered, levels[static_cast<std::size_t>(a)], levels[static_cast<std::size_t>(l)]);
      kernel(a, l) = category_weight(lambda, distance);
      slope(a, l) = category_slope(lambda, distance);
    }
    const double sum = kernel.row(a).sum(), sum_slope = slope.row(a).sum();
    slope.row(a) = slope.row(a) / sum - kernel.row(a) * (sum_slope / (sum * sum));
    kernel.row(a) /= sum;
  }
  LevelPairs pairs{kernel * kernel.transpose(), slope * kernel.transpose() + kernel * slope.transpose(), {}};
  for (Index i = 0; i < design.local.categories.rows(); ++i)
    pairs.level.push_back(level_of(levels, design.local.categories(i, c)));
  return pairs;
}

/// Sums the convolutions of one point's kernel with all others'.
class SquaredDensity {
 public:
  SquaredDensity(const DensityDesign& design, const SelfConvolution& convolution, const std::vector<LevelPairs>& pairs)
      : design_(design), convolution_(convolution), pairs_(pairs) {}

  /// Adds sum_j w_i w_j (K_i * K_j) / total^2 and its gradient.
  void add(const Eigen::VectorXd& q, Index i, ValueWithSlopes& sum) {
    const LocalDesign& local = design_.local;
    const Index continuous = local.order.continuous();
    const double reach = convolution_.separate() ? 4.0 * static_cast<double>(continuous) : 4.0;
    local.points.find(q.head(continuous), convolution_.compact() ? reach : std::numeric_limits<double>::infinity(), -1,
                      found_);
    double bandwidths =
        0;  // log prod h: the normalizer without the integral of the kernel, which is in the convolution
    for (Index d = 0; d < continuous; ++d) bandwidths += std::log(local.points.scale(d));
    slopes_.resize(continuous);
    for (Index j = 0; j < found_.count; ++j) {
      const Index point = found_.points[static_cast<std::size_t>(j)];
      const double share =
          design_.weight(i) * design_.weight(point) / (design_.total * design_.total) * std::exp(-bandwidths);
      double value = share * continuous_part(j);
      slopes_ *= share;
      double categorical = 1;
      for (const LevelPairs& pair : pairs_) categorical *= entry(pair.values, pair, i, point);
      sum.value += value * categorical;
      for (Index d = 0; d < continuous; ++d) sum.slopes(d) += categorical * (slopes_(d) - value);
      for (std::size_t c = 0; c < pairs_.size(); ++c) {
        double slope = value * entry(pairs_[c].slopes, pairs_[c], i, point);
        for (std::size_t other = 0; other < pairs_.size(); ++other) {
          if (other != c) slope *= entry(pairs_[other].values, pairs_[other], i, point);
        }
        sum.slopes(continuous + static_cast<Index>(c)) += slope;
      }
    }
  }

 private:
  static double entry(const Eigen::MatrixXd& of, const LevelPairs& pair, Index i, Index j) {
    return of(static_cast<Index>(pair.level[static_cast<std::size_t>(i)]),
              static_cast<Index>(pair.level[static_cast<std::size_t>(j)]));
  }

  /// The convolution at the offset of point j, and in slopes_ its derivatives by log h.
  double continuous_part(Index j) {
    double slope = 0;
    if (!convolution_.separate()) {
      const double s = std::sqrt(found_.squares(j)), value = slopes_.size() > 0 ? convolution_(s, slope) : 1.0;
      for (Index d = 0; d < slopes_.size(); ++d) {
        slopes_(d) = s > 0 ? -slope / s * found_.offsets(j, d) * found_.offsets(j, d) : 0.0;
      }
      return value;
    }
    double value = 1;
    slopes_.setOnes();
    for (Index d = 0; d < slopes_.size(); ++d) {
      const double s = std::abs(found_.offsets(j, d)), factor = convolution_(s, slope);
      value *= factor;
      for (Index e = 0; e < slopes_.size(); ++e) slopes_(e) *= e == d ? -slope * s : factor;
    }
    return value;
  }

  const DensityDesign& design_;
  const SelfConvolution& convolution_;
  const std::vector<LevelPairs>& pairs_;
  FoundPoints found_;
  Eigen::VectorXd slopes_;
};

inline ValueWithSlopes least_squares_criterion(const DensityDesign& design, const SelfConvolution& convolution,
                                               const RowMatrix<double>& q, const AnyExecutor& executor) {
  std::vector<LevelPairs> pairs;
  for (Index c = 0; c < design.local.categories.cols(); ++c) pairs.push_back(level_pairs(design, c));
  const auto make = [&] {
    return [&, left = LeftOutDensity(design), square = SquaredDensity(design, convolution, pairs),
            query = Eigen::VectorXd()](Index i, ValueWithSlopes& sum) mutable {
      query = q.row(i).transpose();
      square.add(query, i, sum);
      const double value = left.log_density(query, i);
      if (!(value > -std::numeric_limits<double>::infinity())) return;
      const double share = 2 * design.weight(i) / design.total * std::exp(value);
      sum.value -= share;
      left.add_slopes(-share, sum.slopes);
    };
  };
  return sum_over_rows(design.local, q.cols(), executor, make);
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
