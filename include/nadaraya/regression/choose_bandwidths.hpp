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

/// `count` of n rows at random.
inline std::vector<Index> random_rows(Index n, Index count) {
  std::vector<Index> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), Index(0));
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
    std::swap(rows[i], rows[i + (state >> 32) % (rows.size() - i)]);
  }
  rows.resize(static_cast<std::size_t>(count));
  return rows;
}

inline std::vector<Index> sorted(std::vector<Index> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// Rows of the data, ascending.
inline LocalData sample_of(const LocalData& data, const std::vector<Index>& rows) {
  const auto count = static_cast<Index>(rows.size());
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

/// Searches on the same data.
class BandwidthDescents {
 public:
  /// `deviation`: kernel_deviation(kernel, D). The box holds the starts.
  BandwidthDescents(double deviation, const BandwidthObjective& objective, const BandwidthSearch& search,
                    const LocalData& data, const std::vector<Eigen::VectorXd>& starts)
      : objective_(objective), search_(search), data_(data), order_(data.kinds, data.x.cols()) {
    Eigen::VectorXd least = rule_of_thumb(deviation, data.x, order_, data.degree) / 50;
    Eigen::VectorXd most = 10 * (data.x.colwise().maxCoeff() - data.x.colwise().minCoeff()).transpose();
    for (const Eigen::VectorXd& start : starts) most = most.cwiseMax(start);
    for (Index d = order_.continuous(); d < order_.size(); ++d) {
      least(order_.column(d)) = 0;
      most(order_.column(d)) = 1;
    }
    box_ = {search_variables(order_, least), search_variables(order_, most)};
  }

  /// The criterion at the variables of a search, and its gradient.
  double operator()(const Eigen::VectorXd& variables, Eigen::VectorXd& gradient) const {
    return objective_(data_, searched_bandwidths(order_, variables), &gradient);
  }

  SearchState begin(const Eigen::VectorXd& start) const {
    return begin_search(*this, search_variables(order_, start).cwiseMax(box_.lower));
  }

  /// Goes on from a search for about the same function, whose curvature it keeps.
  SearchState again(const SearchState& from) const {
    SearchState at = begin_search(*this, from.x);
    at.inverse_hessian = from.inverse_hessian;
    at.evaluations += from.evaluations;
    return at;
  }

  void descend(const SearchLimits& limits, SearchState& at) const {
    const auto progress = [&](const Eigen::VectorXd& variables, double value) {
      if (search_.progress) search_.progress(searched_bandwidths(order_, variables), value);
    };
    minimize_in_box(*this, box_, limits, progress, at);
  }

  BandwidthChoice choice(const SearchState& at) const {
    return {searched_bandwidths(order_, at.x), at.value, at.evaluations};
  }

 private:
  BandwidthObjective objective_;
  const BandwidthSearch& search_;
  const LocalData& data_;
  ColumnOrder order_;
  SearchBox box_;
};

/// Searches from the best of a grid around the rule of thumb, on a sample, then from there on all points or larger samples.
class BandwidthSearcher {
 public:
  /// `deviation`: kernel_deviation(kernel, D).
  BandwidthSearcher(double deviation, const BandwidthObjective& objective, const BandwidthSearch& search,
                    const char* function)
      : deviation_(deviation), objective_(objective), search_(search), function_(function) {}

  BandwidthChoice run(const LocalData& data) {
    const Index n = data.x.rows();
    require(search_.sample >= 2 && search_.points >= search_.sample, function_,
            ": the sample must have at least 2 points and at most `points`, got ", search_.sample, " and ", search_.points);
    if (search_.start.size() > 0) require_bandwidths(data, search_.start, function_);
    if (n <= search_.sample) return from_starts(data, search_.start);
    if (n / 2 < search_.points) return from_sample(data, rescaled(data, search_.start, n, search_.sample));
    return from_bags(data);
  }

 private:
  static constexpr Index least_rows = 250;  ///< that tell which starts are good

  /// Bandwidths of `from` points for `to` points: h by the rate of the best bandwidth, lambda as h^2. Empty: stays so.
  static Eigen::VectorXd rescaled(const LocalData& data, Eigen::VectorXd bandwidths, Index from, Index to) {
    if (bandwidths.size() == 0) return bandwidths;
    const ColumnOrder order(data.kinds, data.x.cols());
    const double factor = std::pow(static_cast<double>(from) / static_cast<double>(to), bandwidth_rate(data.degree, order.continuous()));
    for (Index d = 0; d < order.size(); ++d) {
      double& h = bandwidths(order.column(d));
      h = d < order.continuous() ? h * factor : (std::min)(h * factor * factor, 1.0);
    }
    return bandwidths;
  }

  /// Searches disjoint samples, one after the other from the result before.
  BandwidthChoice from_bags(const LocalData& data) {
    const Index n = data.x.rows(), size = search_.points, bags = (std::min)(n / size, Index(4));
    const ColumnOrder order(data.kinds, data.x.cols());
    const std::vector<Index> rows = random_rows(n, bags * size);
    Eigen::VectorXd mean = Eigen::VectorXd::Zero(order.size());
    BandwidthChoice choice, last;
    for (Index bag = 0; bag < bags; ++bag) {
      const LocalData part = sample_of(data, sorted({rows.begin() + bag * size, rows.begin() + (bag + 1) * size}));
      last = bag == 0 ? from_sample(part, rescaled(data, search_.start, n, search_.sample)) : from_start(part, last.bandwidths);
      mean += search_variables(order, last.bandwidths) / static_cast<double>(bags);
      choice.criterion += last.criterion / static_cast<double>(bags);
      choice.evaluations += last.evaluations;
    }
    choice.bandwidths = rescaled(data, searched_bandwidths(order, mean), size, n);
    return choice;
  }

  /// `start`: one of the user's, for the sample, or empty.
  BandwidthChoice from_sample(const LocalData& data, const Eigen::VectorXd& start) {
    const Index n = data.x.rows(), sample = search_.sample;
    const BandwidthChoice sampled = from_starts(sample_of(data, sorted(random_rows(n, sample))), start);
    BandwidthChoice choice = from_start(data, rescaled(data, sampled.bandwidths, sample, n));
    choice.evaluations += sampled.evaluations;
    return choice;
  }

  BandwidthChoice from_start(const LocalData& data, const Eigen::VectorXd& start) {
    const BandwidthDescents descents(deviation_, objective_, search_, data, {start});
    SearchState at = descents.begin(start);
    descents.descend({.iterations = search_.iterations,
                      .gradient = 1e-3 * search_.precision,
                      .step = search_.precision,
                      .longest_step = 0.5},
                     at);
    return descents.choice(at);
  }

  /// `given`: a start of the user's, or empty.
  BandwidthChoice from_starts(const LocalData& data, const Eigen::VectorXd& given) {
    const Index n = data.x.rows();
    LocalData rough = data;  // of many points, some tell which starts are good
    if (n >= 2 * least_rows) rough.rows = sorted(random_rows(n, (std::max)(least_rows, n / 4)));
    int evaluations = 0;
    const std::vector<Eigen::VectorXd> starts = best_starts(rough, given, evaluations);
    const BandwidthDescents coarse(deviation_, objective_, search_, rough, starts),
        fine(deviation_, objective_, search_, data, starts);
    // Each coarsely, the best to the end; then those that ended elsewhere, at a value almost as small.
    const bool is_rough = !rough.rows.empty();
    std::vector<SearchState> ends;
    for (const Eigen::VectorXd& start : starts) {
      ends.push_back(coarse.begin(start));
      coarse.descend({.iterations = search_.iterations, .gradient = 1e-3, .step = 0.1}, ends.back());
    }
    std::stable_sort(ends.begin(), ends.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
    const double least = ends[0].value;
    SearchState best;
    const auto rivals = [&](const SearchState& end, double value) {
      return end.value - value < 0.02 * abs(value) && (end.x - best.x).cwiseAbs().maxCoeff() > 0.1;
    };
    for (SearchState& end : ends) {
      const bool first = best.x.size() == 0;
      if (first || rivals(end, least)) {
        if (is_rough) end = fine.again(end);
        if (is_rough && !first) {
          end.inverse_hessian = best.inverse_hessian;  // that of all points, and about the same
          fine.descend({.iterations = search_.iterations, .gradient = 1e-3, .step = 0.05}, end);
        }
        if (first || rivals(end, best.value)) fine.descend({.iterations = search_.iterations}, end);
        if (first || end.value < best.value) best = end;
      }
      evaluations += end.evaluations;
    }
    best.evaluations = evaluations;
    return fine.choice(best);
  }

  /// The best of a grid around the rule of thumb, and starts from there.
  std::vector<Eigen::VectorXd> best_starts(const LocalData& data, const Eigen::VectorXd& given, int& evaluations) {
    const ColumnOrder order(data.kinds, data.x.cols());
    const Eigen::VectorXd rule = rule_of_thumb(deviation_, data.x, order, data.degree);
    std::vector<std::pair<double, Eigen::VectorXd>> grid;
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
    return starts;
  }

  double deviation_;
  BandwidthObjective objective_;
  const BandwidthSearch& search_;
  const char* function_;
};

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
