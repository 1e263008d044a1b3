// A kernel density's data and bandwidths, with its normalization.
#pragma once

#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// The distinct values of a column, ascending.
inline std::vector<double> distinct_values(const RowMatrix<double>& m, Index column) {
  std::vector<double> values(static_cast<std::size_t>(m.rows()));
  for (Index i = 0; i < m.rows(); ++i) values[static_cast<std::size_t>(i)] = m(i, column);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

inline std::size_t level_of(const std::vector<double>& levels, double value) {
  return static_cast<std::size_t>(std::lower_bound(levels.begin(), levels.end(), value) - levels.begin());
}

/// f(q) = sum_j w_j(q) exp(log_factor - log_normalizer) / total: the weights of the points include the sums of their
/// categorical kernels over the levels of the data, so that f integrates, and sums, to 1.
struct DensityDesign {
  LocalDesign local;
  double log_normalizer = 0;                ///< log (int kappa prod h)
  double total = 0;                         ///< of the observation weights
  Eigen::MatrixXd mass_slopes;              ///< [N x Dc] d(log mass_j) / dlambda
  std::vector<std::vector<double>> levels;  ///< of each categorical column

  double weight(Index i) const { return local.weights.size() > 0 ? local.weights(i) : 1.0; }
};

/// O(N log N + levels^2).
inline DensityDesign density_design(const KernelInputs& inputs, double kernel_integral) {
  DensityDesign design{design_of(inputs), std::log(kernel_integral), 0, {}, {}};
  const LocalData& data = inputs.data;
  LocalDesign& local = design.local;
  const Index n = data.x.rows();
  for (Index d = 0; d < local.order.continuous(); ++d)
    design.log_normalizer += std::log(inputs.bandwidths(local.order.column(d)));
  design.total = data.weights.size() > 0 ? data.weights.sum() : static_cast<double>(n);
  const Index categories = local.categories.cols();
  design.mass_slopes.setZero(n, categories);
  if (categories > 0 && local.mass.size() == 0) local.mass.setOnes(n);
  for (Index c = 0; c < categories; ++c) {
    const std::vector<double> levels = distinct_values(local.categories, c);
    std::vector<double> sums(levels.size(), 0.0), slopes(levels.size(), 0.0);
    for (std::size_t a = 0; a < levels.size(); ++a) {
      for (const double level : levels) {
        const double distance = category_distance(local.order.ordered(c), levels[a], level);
        sums[a] += category_weight(local.lambdas(c), distance);
        slopes[a] += category_slope(local.lambdas(c), distance);
      }
    }
    for (Index i = 0; i < n; ++i) {
      const std::size_t level = level_of(levels, local.categories(i, c));
      local.mass(i) /= sums[level];
      design.mass_slopes(i, c) = -slopes[level] / sums[level];
    }
    design.levels.push_back(levels);
  }
  return design;
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
