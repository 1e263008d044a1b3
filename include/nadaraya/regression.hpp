// Kernel regression on data: the classical estimator, its bandwidth chosen by leave-one-out; local polynomials in
// regression/local_regression.hpp.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mask/boolean_mask.hpp"
#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/regression/prediction.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// A regression that records the support size of each query, and not the support.
struct CountedRegression {
  template <class Scalar, class K, class N, class S, class M, class Q, class Ke, class V, Executor E>
  static std::vector<KeyIndex> regress(const NadarayaWatson<K, N, S, M>& op, const Q& query, const Ke& key, const V& value,
                                       RowMatrix<Scalar>& out, const E& executor, const char* function) {
    op.template validate<Scalar>(query, key, value, out, function);
    const engine::Execution<Scalar> execution(executor);
    const Rows<Scalar> queries(query, execution.memory()), keys(key, execution.memory()), values(value, execution.memory());
    std::vector<engine::Record<Scalar>> records(static_cast<std::size_t>(engine::block_count(query.rows())));
    for (auto& record : records) record.counts_only = true;
    op.template run<Scalar>({.query = &queries, .key = &keys, .value = &values}, value.cols(), out, records, execution);
    std::vector<KeyIndex> counts(static_cast<std::size_t>(query.rows()));
    for (const auto& record : records) {
      const auto& sizes = record.support_sizes;
      for (std::size_t r = 0; r < sizes.size(); ++r) {
        counts[static_cast<std::size_t>(record.query(static_cast<Index>(r)))] = sizes[r];
      }
    }
    return counts;
  }
};

}  // namespace detail

/// The mean over the points of |y_i - f_i(x_i)|^2, where f_i is the regression on all points but i
/// (Stone 1974; for kernel regression Clark 1975). x [N x Dx], y [N x Dy], N >= 1. +infinity if a
/// point left out has no other within the bandwidth: the regression has no answer for it.
/// O(N^2 Dx) time, or for a compact kernel in up to three dimensions N log N, and O(support Dy); memory
/// O(N (Dx + Dy)). The result does not depend on the executor.
template <Kernel K, RealExpression X, RealExpression Y, Executor E = Serial>
ScalarOf<X> leave_one_out_error(const K& kernel, double bandwidth, const X& x, const Y& y, const E& executor = {}) {
  using Scalar = ScalarOf<X>;
  detail::require(x.rows() > 0 && x.rows() == y.rows(),
                  "leave_one_out_error: x and y must have the same number of rows, at least 1, got ", detail::shape(x),
                  " and ", detail::shape(y));
  const NadarayaWatson without(kernel, FixedBandwidth{bandwidth}, SquaredDistance{},
                               BooleanMask{[](Index i, Index j) { return i != j; }});
  const Rows<Scalar> points(x), observed(y);
  RowMatrix<Scalar> predicted;
  const std::vector<KeyIndex> counts = detail::CountedRegression::regress(
      without, points.matrix(), points.matrix(), observed.matrix(), predicted, executor, "leave_one_out_error");
  if (std::find(counts.begin(), counts.end(), KeyIndex(0)) != counts.end()) {
    return Scalar(std::numeric_limits<Scalar>::infinity());
  }
  return Scalar((predicted - observed.matrix()).squaredNorm() / Scalar(static_cast<double>(x.rows())));
}

/// Kernel regression: y(x) = sum_j kappa(|x - x_j| / h) y_j / sum_j kappa(|x - x_j| / h), with a copy of the data (Nadaraya
/// 1964; Watson 1964). No result depends on the executor. For local polynomials, a bandwidth for each column and intervals:
/// LocalRegression, in regression/local_regression.hpp, which no other header includes: it takes seconds to compile.
///   const auto model = KernelRegression<Biweight>::fit(Biweight{}, x, y, {0.5, 1.0, 2.0});
///   model.predict(queries).values
template <Kernel K, RealScalar Scalar = double>
class KernelRegression {
  static_assert(detail::check_scalar<Scalar>());

 public:
  /// A regression at a given bandwidth. x [N x Dx], y [N x Dy].
  template <RealExpression X, RealExpression Y>
  KernelRegression(K kernel, double bandwidth, const X& x, const Y& y)
      : regression_(std::move(kernel), FixedBandwidth{bandwidth}, SquaredDistance{}), x_(x), y_(y) {
    detail::require(x.rows() == y.rows(), "KernelRegression: x and y must have the same number of rows, got ",
                    detail::shape(x), " and ", detail::shape(y));
    regression_.normalization().template validate<Scalar>(distance_factor<SquaredDistance>());
  }

  /// Chooses the bandwidth with the smallest leave-one-out error, the first of equals. A bandwidth
  /// at which some point has no neighbour is never chosen. Throws std::invalid_argument if that is
  /// so for all of them.
  template <RealExpression X, RealExpression Y, Executor E = Serial>
  static KernelRegression fit(const K& kernel, const X& x, const Y& y, const std::vector<double>& bandwidths,
                              const E& executor = {}) {
    const RowMatrix<Scalar> points = x;
    const RowMatrix<Scalar> observed = y;
    Scalar best_error(std::numeric_limits<Scalar>::infinity());
    double best = 0;
    for (const double bandwidth : bandwidths) {
      const Scalar error = nadaraya::leave_one_out_error(kernel, bandwidth, points, observed, executor);
      if (error < best_error) {
        best_error = error;
        best = bandwidth;
      }
    }
    detail::require(best > 0, "KernelRegression::fit: none of the ", bandwidths.size(),
                    " bandwidths has a finite leave-one-out error on x ", detail::shape(x), " and y ", detail::shape(y),
                    ": a point has no other within the bandwidth, or the data are not finite");
    return KernelRegression(kernel, best, points, observed);
  }

  double bandwidth() const { return regression_.normalization().bandwidth; }  ///< h, given or chosen by `fit`.
  const K& kernel() const { return regression_.kernel(); }  ///< The kernel.
  const RowMatrix<Scalar>& x() const { return x_; }  ///< The points [N x Dx].
  const RowMatrix<Scalar>& y() const { return y_; }  ///< The observations [N x Dy].

  /// The leave-one-out error at bandwidth().
  template <Executor E = Serial>
  Scalar leave_one_out_error(const E& executor = {}) const {
    return nadaraya::leave_one_out_error(kernel(), bandwidth(), x_, y_, executor);
  }

  /// queries [Nq x Dx] -> values [Nq x Dy]. Scratch memory: O(Nq + N Dx).
  template <RealExpression Q, Executor E = Serial>
  Prediction<Scalar> predict(const Q& queries, const E& executor = {}) const {
    static_assert(std::is_same_v<ScalarOf<Q>, Scalar>, "queries must have the scalar of the regression");
    detail::require(queries.cols() == x_.cols(), "KernelRegression::predict: queries must have the columns of x ",
                    detail::shape(x_), ", got ", detail::shape(queries));
    Prediction<Scalar> prediction;
    const std::vector<KeyIndex> counts = detail::CountedRegression::regress(regression_, queries, x_, y_, prediction.values,
                                                                            executor, "KernelRegression::predict");
    double total = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      total += counts[i];
      if (counts[i] == 0) prediction.empty_rows.push_back(static_cast<Index>(i));
    }
    prediction.mean_support = counts.empty() ? 0.0 : total / static_cast<double>(counts.size());
    return prediction;
  }

 private:
  NadarayaWatson<K, FixedBandwidth, SquaredDistance> regression_;
  RowMatrix<Scalar> x_;
  RowMatrix<Scalar> y_;
};

template <class K, RealExpression X, RealExpression Y>
KernelRegression(K, double, const X&, const Y&) -> KernelRegression<K, ScalarOf<X>>;

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
