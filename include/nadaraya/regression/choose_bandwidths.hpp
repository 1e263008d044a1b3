// Bandwidths, one for each column, by a criterion: a quasi-Newton search with exact gradients.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/bandwidth_search.hpp"
#include "nadaraya/regression/columns.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/rule_of_thumb.hpp"
#include "nadaraya/regression/search.hpp"
#include "nadaraya/regression/smoother_error.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// A criterion at given bandwidths, and its gradient by log h, or lambda, unless `gradient` is null.
inline double criterion_at(const KernelInputs& inputs, const AnyCriterion& criterion, const AnyExecutor& executor,
                           Eigen::VectorXd* gradient) {
  const LocalDesign design = design_of(inputs);
  const RowMatrix<double> q = design.order.scaled(inputs.data.x, inputs.bandwidths);
  const SmootherSlopes slopes = smoother_error(design, q, {criterion.leaves_out, gradient != nullptr}, executor);
  const CriterionValue value = criterion.value(slopes.error);
  if (gradient != nullptr) {
    *gradient = design.order.restored(value.by_mean_square * slopes.mean_square + value.by_trace * slopes.trace);
  }
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
  LocalData sample{RowMatrix<double>(count, data.x.cols()),
                   RowMatrix<double>(count, data.y.cols()),
                   {},
                   data.degree,
                   data.ridge,
                   data.kinds};
  if (data.weights.size() > 0) sample.weights.resize(count);
  if (data.factors.size() > 0) sample.factors.resize(count);
  for (Index i = 0; i < count; ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    sample.x.row(i) = data.x.row(row);
    if (data.y.cols() > 0) sample.y.row(i) = data.y.row(row);
    if (data.weights.size() > 0) sample.weights(i) = data.weights(row);
    if (data.factors.size() > 0) sample.factors(i) = data.factors(row);
  }
  return sample;
}

/// The variables of a search: log h of continuous columns, lambda of the others.
inline Eigen::VectorXd search_variables(const ColumnOrder& order, Eigen::VectorXd bandwidths) {
  for (Index d = 0; d < order.continuous(); ++d) bandwidths(order.column(d)) = std::log(bandwidths(order.column(d)));
  return bandwidths;
}
inline Eigen::VectorXd searched_bandwidths(const ColumnOrder& order, Eigen::VectorXd variables) {
  for (Index d = 0; d < order.continuous(); ++d) variables(order.column(d)) = std::exp(variables(order.column(d)));
  return variables;
}

/// Searches from the best of a grid around the rule of thumb, on a sample, then from there on all points.
class BandwidthSearcher {
 public:
  /// `deviation`: kernel_deviation(kernel, D).
  BandwidthSearcher(double deviation, const BandwidthObjective& objective, const BandwidthSearch& search,
                    const char* function)
      : deviation_(deviation), objective_(objective), search_(search), function_(function) {}

  BandwidthChoice run(const LocalData& data) {
    const Index n = data.x.rows();
    require(search_.sample >= 2, function_, ": the sample must have at least 2 points, got ", search_.sample);
    if (search_.start.size() > 0) require_bandwidths(data, search_.start, function_);
    if (n <= search_.sample) return from_starts(data, search_.start);
    const ColumnOrder order(data.kinds, data.x.cols());
    const double rate = bandwidth_rate(data.degree, order.continuous());
    const double shrinking = std::pow(static_cast<double>(search_.sample) / static_cast<double>(n), rate);
    Eigen::VectorXd factors(order.size());
    for (Index d = 0; d < order.size(); ++d) {  // lambda shrinks as h^2 does
      factors(order.column(d)) = d < order.continuous() ? shrinking : shrinking * shrinking;
    }
    Eigen::VectorXd start = search_.start;
    if (start.size() > 0) start = start.cwiseQuotient(factors);
    for (Index d = order.continuous(); d < order.size() && start.size() > 0; ++d) {
      start(order.column(d)) = (std::min)(start(order.column(d)), 1.0);
    }
    BandwidthChoice choice = from_starts(sample_of(data, search_.sample), start);
    choice.bandwidths = choice.bandwidths.cwiseProduct(factors);
    const int before = choice.evaluations;
    choice = descend(data, choice.bandwidths,
                     {.iterations = search_.iterations,
                      .gradient = 1e-3 * search_.precision,
                      .step = search_.precision,
                      .longest_step = 0.5});
    choice.evaluations += before;
    return choice;
  }

 private:
  /// `given`: a start of the user's, or empty.
  BandwidthChoice from_starts(const LocalData& data, const Eigen::VectorXd& given) {
    const ColumnOrder order(data.kinds, data.x.cols());
    const Eigen::VectorXd rule = rule_of_thumb(deviation_, data.x, order, data.degree);
    std::vector<std::pair<double, Eigen::VectorXd>> grid;
    int evaluations = 0;
    const auto add = [&](const Eigen::VectorXd& h) {
      const double value = objective_(data, h, nullptr);
      ++evaluations;
      if (value < std::numeric_limits<double>::infinity()) grid.emplace_back(value, h);
    };
    for (const double factor : {0.35, 0.6, 1.0, 1.7, 3.0, 6.0}) {
      Eigen::VectorXd h = rule;
      for (Index d = 0; d < order.continuous(); ++d) h(order.column(d)) *= factor;
      add(h);
      if (order.continuous() == 0) break;
    }
    if (given.size() > 0) add(given);
    require(!grid.empty(), function_, ": no bandwidth has a finite criterion on x ", shape(data.x));
    std::stable_sort(grid.begin(), grid.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    // A column that does not matter has a long way to go: one start for each.
    std::vector<Eigen::VectorXd> starts{grid[0].second};
    for (Index d = 0; d < order.size() && order.size() > 1; ++d) {
      starts.push_back(grid[0].second);
      double& h = starts.back()(order.column(d));
      h = d < order.continuous() ? 4 * h : 0.95;
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
    const ColumnOrder order(data.kinds, data.x.cols());
    const Eigen::VectorXd range = (data.x.colwise().maxCoeff() - data.x.colwise().minCoeff()).transpose();
    Eigen::VectorXd least = rule_of_thumb(deviation_, data.x, order, data.degree) / 50,
                    most = (10 * range).cwiseMax(start);
    for (Index d = order.continuous(); d < order.size(); ++d) {
      least(order.column(d)) = 0;
      most(order.column(d)) = 1;
    }
    const Eigen::VectorXd lower = search_variables(order, least), upper = search_variables(order, most);
    const auto evaluate = [&](const Eigen::VectorXd& at, Eigen::VectorXd& gradient) {
      return objective_(data, searched_bandwidths(order, at), &gradient);
    };
    const auto progress = [&](const Eigen::VectorXd& at, double value) {
      if (search_.progress) search_.progress(searched_bandwidths(order, at), value);
    };
    const SearchResult result =
        minimize_in_box(evaluate, search_variables(order, start).cwiseMax(lower), lower, upper, limits, progress);
    return {searched_bandwidths(order, result.x), result.value, result.evaluations};
  }

  double deviation_;
  BandwidthObjective objective_;
  const BandwidthSearch& search_;
  const char* function_;
};

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
