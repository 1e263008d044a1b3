// The error of a smoother on its own data, and its gradient by the bandwidths.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/regression/criterion.hpp"
#include "nadaraya/regression/local_fit.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Rows that are fitted as one piece of work.
inline constexpr Index rows_per_chunk = 32;

/// Calls work(first, last, chunk) for consecutive ranges of rows on the threads of an executor.
template <class Work>
void for_row_chunks(Index rows, double multiply_adds_per_row, const AnyExecutor& executor, const Work& work) {
  const Index chunks = (rows + rows_per_chunk - 1) / rows_per_chunk;
  executor.parallel_for(
      chunks, [&](Index chunk) { work(chunk * rows_per_chunk, (std::min)(rows, (chunk + 1) * rows_per_chunk), chunk); },
      Cost{multiply_adds_per_row * static_cast<double>(rows)});
}

/// The positions that are not 0, ascending.
inline std::vector<Index> marked_rows(const std::vector<char>& marks) {
  std::vector<Index> rows;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (marks[i] != 0) rows.push_back(static_cast<Index>(i));
  }
  return rows;
}

/// What a fit costs: all points are scanned, or some hundred of them.
inline double cost_of_fit(const LocalDesign& design) {
  const double scanned = static_cast<double>(
      (std::min)(design.points.size(), design.kernel.compact() ? Index(300) : design.points.size()));
  const auto features = static_cast<double>(design.monomials.size() + 2);
  return scanned * features * features * 4;
}

/// The error of a smoother, and its gradients by log h.
struct SmootherSlopes {
  SmootherError error;
  Index alone = 0;  ///< points without a neighbor
  Eigen::VectorXd mean_square, trace;

  void add(const SmootherSlopes& other) {
    error.mean_square += other.error.mean_square;
    error.trace += other.error.trace;
    alone += other.alone;
    mean_square += other.mean_square;
    trace += other.trace;
  }
};

/// sum_o weighted variance of output o: the mean square of the best constant.
inline double total_mean_square(const RowMatrix<double>& y, const Eigen::VectorXd& weights) {
  const Eigen::VectorXd w = weights.size() > 0 ? weights : Eigen::VectorXd::Ones(y.rows());
  const Eigen::RowVectorXd mean = w.transpose() * y / w.sum();
  return ((y.rowwise() - mean).rowwise().squaredNorm().array() * w.array()).sum() / w.sum();
}

/// A point without a neighbor counts as if its residual were twice the standard deviation of the data, whatever the
/// bandwidth: such bandwidths are bad, but not infinitely so.
inline constexpr double penalty_of_lone_points = 4;

struct SmootherTask {
  bool leaves_out = false;  ///< is each point predicted without itself?
  bool gradients = false;
};

/// Fits at every point, `q` [N x D] in units of the scales, or at the rows of the design, from which it estimates the error.
/// O(support (Dy + M^2)).
/// Sums are formed in an order that does not depend on the executor.
inline SmootherSlopes smoother_error(const LocalDesign& design, const RowMatrix<double>& q, SmootherTask task,
                                     const AnyExecutor& executor) {
  const bool leaves_out = task.leaves_out;
  const CriterionRows rows(design);
  const Index n = q.rows(), dimension = q.cols(), fits = rows.count();
  const bool weighted = design.weights.size() > 0;
  const double penalty = penalty_of_lone_points * total_mean_square(design.y, design.weights);
  SmootherSlopes zero;
  zero.mean_square = zero.trace = Eigen::VectorXd::Zero(dimension);
  std::vector<SmootherSlopes> sums(static_cast<std::size_t>((fits + rows_per_chunk - 1) / rows_per_chunk), zero);
  for_row_chunks(fits, cost_of_fit(design), executor, [&](Index first, Index last, Index chunk) {
    SmootherSlopes sum = zero;
    LocalFit fit(design);
    Eigen::VectorXd query(dimension), residual;
    for (Index at = first; at < last; ++at) {
      const Index i = rows.row(at);
      query = q.row(i).transpose();
      const double weight = weighted ? design.weights(i) : 1.0;
      const bool fitted = fit.fit(query, leaves_out ? i : -1);
      const Index self = leaves_out || !fitted ? -1 : fit.position(i);
      const double leverage = self >= 0 ? fit.corrected()(self) : 0.0;
      if (!leaves_out) sum.error.trace += leverage;
      if (!fitted || (!leaves_out && fit.support() <= 1)) {
        sum.error.mean_square += weight * penalty;
        ++sum.alone;
        continue;
      }
      residual = fit.predicted();
      residual -= design.y.row(i).transpose();
      sum.error.mean_square += weight * residual.squaredNorm();
      if (task.gradients) {
        fit.pull_prediction(residual, 2 * weight, sum.mean_square);
        if (self >= 0) fit.pull_corrected(self, 1.0, sum.trace);
      }
    }
    sums[static_cast<std::size_t>(chunk)] = std::move(sum);
  });
  SmootherSlopes total = zero;
  for (const SmootherSlopes& sum : sums) total.add(sum);
  total.error.points = static_cast<double>(n);
  total.error.mean_square /= rows.mass();
  total.mean_square /= rows.mass();
  const double share = static_cast<double>(n) / static_cast<double>(fits);
  total.error.trace *= share;
  total.trace *= share;
  return total;
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
