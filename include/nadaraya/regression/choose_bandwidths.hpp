// Bandwidths, one for each column, by a criterion: a quasi-Newton search with exact gradients.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/function_ref.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/criterion.hpp"
#include "nadaraya/regression/kernel_on_squares.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/local_fit.hpp"
#include "nadaraya/regression/rule_of_thumb.hpp"
#include "nadaraya/regression/search.hpp"
#include "nadaraya/regression/smoother_error.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// How bandwidths are searched for.
struct BandwidthSearch {
  int starts = 3;         ///< searches, each from another start
  Index sample = 2000;    ///< points that the starts are searched on, at most; chosen at random by a fixed seed
  int iterations = 50;    ///< of each search, at most
  double precision = 1e-3;  ///< of log h on all points, where there are more than `sample`
  /// Told of each iterate: bandwidths, and the criterion on the points in use.
  std::function<void(const Eigen::VectorXd& bandwidths, double criterion)> progress = {};
};

/// What a search has found.
struct BandwidthChoice {
  Eigen::VectorXd bandwidths;
  double criterion = 0;
  int evaluations = 0;  ///< of the criterion with its gradient, on all points and on samples
};

namespace detail {

inline LocalDesign local_design(const KernelOnSquares& kernel, const LocalData& data, const Eigen::VectorXd& scales,
                                Index neighbors) {
  double radius = kernel.compact() ? 1.0 : 0.0;
  if (neighbors > 0) {
    radius = std::pow(static_cast<double>(neighbors) / static_cast<double>(data.x.rows()), 1.0 / static_cast<double>(data.x.cols()));
  }
  return {kernel, data.y, data.weights, ScaledPoints(data.x, scales, radius), Monomials(data.x.cols(), data.degree), data.ridge,
          neighbors};
}

/// A criterion behind one type; refers to it.
struct AnyCriterion {
  bool leaves_out;
  FunctionRef<CriterionValue(const SmootherError&)> value;
};

/// A criterion at given bandwidths, and its gradient by their logarithms unless `gradient` is null.
inline double criterion_at(const KernelOnSquares& kernel, const LocalData& data, const Eigen::VectorXd& scales, Index neighbors,
                           const AnyCriterion& criterion, const AnyExecutor& executor, Eigen::VectorXd* gradient) {
  const LocalDesign design = local_design(kernel, data, scales, neighbors);
  const RowMatrix<double> q = data.x * scales.cwiseInverse().asDiagonal();
  const SmootherSlopes slopes = smoother_error(design, q, {criterion.leaves_out, gradient != nullptr}, executor);
  const CriterionValue value = criterion.value(slopes.error);
  if (gradient != nullptr) *gradient = value.by_mean_square * slopes.mean_square + value.by_trace * slopes.trace;
  return value.value;
}

/// `count` rows at random, in their order.
inline LocalData sample_of(const LocalData& data, Index count) {
  std::vector<Index> rows(static_cast<std::size_t>(data.x.rows()));
  std::iota(rows.begin(), rows.end(), Index(0));
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
    std::swap(rows[i], rows[i + (state >> 32) % (rows.size() - i)]);
  }
  rows.resize(static_cast<std::size_t>(count));
  std::sort(rows.begin(), rows.end());
  LocalData sample{RowMatrix<double>(count, data.x.cols()), RowMatrix<double>(count, data.y.cols()), {}, data.degree, data.ridge};
  if (data.weights.size() > 0) sample.weights.resize(count);
  for (Index i = 0; i < count; ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    sample.x.row(i) = data.x.row(row);
    sample.y.row(i) = data.y.row(row);
    if (data.weights.size() > 0) sample.weights(i) = data.weights(row);
  }
  return sample;
}

/// Searches from the best of a grid around the rule of thumb, on a sample, then from there on all points.
class BandwidthSearcher {
 public:
  /// `deviation`: kernel_deviation(kernel, D).
  BandwidthSearcher(const KernelOnSquares& kernel, double deviation, const AnyCriterion& criterion, const BandwidthSearch& search,
                    const AnyExecutor& executor)
      : kernel_(kernel), deviation_(deviation), criterion_(criterion), search_(search), executor_(executor) {}

  BandwidthChoice run(const LocalData& data) {
    const Index n = data.x.rows();
    if (n <= search_.sample) return from_starts(data);
    BandwidthChoice choice = from_starts(sample_of(data, search_.sample));
    const double rate = bandwidth_rate(data.degree, data.x.cols());
    choice.bandwidths *= std::pow(static_cast<double>(search_.sample) / static_cast<double>(n), rate);
    const int before = choice.evaluations;
    choice = descend(data, choice.bandwidths, {.iterations = search_.iterations, .gradient = 1e-3 * search_.precision,
                                               .step = search_.precision, .longest_step = 0.5});
    choice.evaluations += before;
    return choice;
  }

 private:
  BandwidthChoice from_starts(const LocalData& data) {
    const Eigen::VectorXd rule = rule_of_thumb(deviation_, data.x, data.degree);
    std::vector<std::pair<double, Eigen::VectorXd>> grid;
    int evaluations = 0;
    for (const double factor : {0.35, 0.6, 1.0, 1.7, 3.0, 6.0}) {
      const Eigen::VectorXd h = rule * factor;
      const double value = criterion_at(kernel_, data, h, 0, criterion_, executor_, nullptr);
      ++evaluations;
      if (value < std::numeric_limits<double>::infinity()) grid.emplace_back(value, h);
    }
    require(!grid.empty(), "LocalRegression::fit: no bandwidth leaves degrees of freedom on x ", shape(data.x));
    std::stable_sort(grid.begin(), grid.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    // A column that does not matter has a long way to go: one start for each.
    std::vector<Eigen::VectorXd> starts{grid[0].second};
    for (Index d = 0; d < rule.size() && rule.size() > 1; ++d) {
      starts.push_back(grid[0].second);
      starts.back()(d) *= 4;
    }
    if (grid.size() > 1) starts.push_back(grid[1].second);
    starts.resize((std::min)(starts.size(), static_cast<std::size_t>((std::max)(search_.starts, 1))));
    BandwidthChoice best;
    best.criterion = std::numeric_limits<double>::infinity();
    for (const Eigen::VectorXd& start : starts) {
      const BandwidthChoice choice = descend(data, start, {.iterations = search_.iterations});
      evaluations += choice.evaluations;
      if (choice.criterion < best.criterion) best = choice;
    }
    best.evaluations = evaluations;
    return best;
  }

  BandwidthChoice descend(const LocalData& data, const Eigen::VectorXd& start, const SearchLimits& limits) {
    const Eigen::VectorXd rule = rule_of_thumb(deviation_, data.x, data.degree);
    const Eigen::VectorXd range = (data.x.colwise().maxCoeff() - data.x.colwise().minCoeff()).transpose();
    const Eigen::VectorXd lower = (rule / 50).array().log(), upper = (10 * range).cwiseMax(start).array().log();
    const auto evaluate = [&](const Eigen::VectorXd& log_h, Eigen::VectorXd& gradient) {
      return criterion_at(kernel_, data, log_h.array().exp(), 0, criterion_, executor_, &gradient);
    };
    const auto progress = [&](const Eigen::VectorXd& log_h, double value) {
      if (search_.progress) search_.progress(log_h.array().exp(), value);
    };
    const Eigen::VectorXd from = start.array().log().matrix().cwiseMax(lower);
    const SearchResult result = minimize_in_box(evaluate, from, lower, upper, limits, progress);
    return {result.x.array().exp(), result.value, result.evaluations};
  }

  KernelOnSquares kernel_;
  double deviation_;
  const AnyCriterion& criterion_;
  const BandwidthSearch& search_;
  const AnyExecutor& executor_;
};

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
