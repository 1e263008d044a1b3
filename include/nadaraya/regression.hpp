// Kernel regression on data: the classical estimator, its bandwidth chosen by leave-one-out.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/mask/boolean_mask.hpp"
#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/similarity/squared_distance.hpp"

#include <limits>
#include <utility>
#include <vector>

namespace nadaraya {

/// What a regression says about a set of queries.
template <class Scalar>
struct Prediction {
  RowMatrix<Scalar> values;       ///< [Nq x Dy]; a row of zeros where no point is within the bandwidth
  std::vector<Index> empty_rows;  ///< those rows, ascending: there the data say nothing
  double mean_support = 0;        ///< points with weight, mean over the queries
};

/// The mean over the points of |y_i - f_i(x_i)|^2, where f_i is the regression on all points but i
/// (Stone 1974; for kernel regression Clark 1975). x [N x Dx], y [N x Dy], N >= 1. +infinity if a
/// point left out has no other within the bandwidth: the regression has no answer for it.
/// O(N^2 Dx) time, or for a compact kernel in up to three dimensions N log N, and O(support Dy); memory
/// O(support).
template <Kernel K, RealExpression X, RealExpression Y>
ScalarOf<X> leave_one_out_error(const K& kernel, double bandwidth, const X& x, const Y& y) {
  using Scalar = ScalarOf<X>;
  detail::require(x.rows() > 0 && x.rows() == y.rows(),
                  "leave_one_out_error: x and y must have the same number of rows, at least 1, got ", detail::shape(x),
                  " and ", detail::shape(y));
  const NadarayaWatson without(kernel, FixedBandwidth{bandwidth}, SquaredDistance{},
                               BooleanMask{[](Index i, Index j) { return i != j; }});
  const RowMatrix<Scalar> points = x;
  const RowMatrix<Scalar> observed = y;
  RowMatrix<Scalar> predicted;
  if (without.forward(points, points, observed, predicted).empty_rows() > 0) {
    return Scalar(std::numeric_limits<Scalar>::infinity());
  }
  return Scalar((predicted - observed).squaredNorm() / Scalar(static_cast<double>(x.rows())));
}

/// y(x) = sum_j kappa(|x - x_j| / h) y_j / sum_j kappa(|x - x_j| / h), with a copy of the data
/// (Nadaraya 1964; Watson 1964).
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
  template <RealExpression X, RealExpression Y>
  static KernelRegression fit(const K& kernel, const X& x, const Y& y, const std::vector<double>& bandwidths) {
    const RowMatrix<Scalar> points = x;
    const RowMatrix<Scalar> observed = y;
    Scalar best_error(std::numeric_limits<Scalar>::infinity());
    double best = 0;
    for (const double bandwidth : bandwidths) {
      const Scalar error = nadaraya::leave_one_out_error(kernel, bandwidth, points, observed);
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

  double bandwidth() const { return regression_.normalization().bandwidth; }
  const K& kernel() const { return regression_.kernel(); }
  const RowMatrix<Scalar>& x() const { return x_; }
  const RowMatrix<Scalar>& y() const { return y_; }

  Scalar leave_one_out_error() const { return nadaraya::leave_one_out_error(kernel(), bandwidth(), x_, y_); }

  /// queries [Nq x Dx] -> values [Nq x Dy].
  template <RealExpression Q>
  Prediction<Scalar> predict(const Q& queries) const {
    detail::require(queries.cols() == x_.cols(), "KernelRegression::predict: queries must have the columns of x ",
                    detail::shape(x_), ", got ", detail::shape(queries));
    Prediction<Scalar> prediction;
    const auto tape = regression_.forward(queries, x_, y_, prediction.values);
    for (Index i = 0; i < tape.queries(); ++i) {
      if (tape.support_size(i) == 0) prediction.empty_rows.push_back(i);
    }
    prediction.mean_support = tape.mean_support();
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
