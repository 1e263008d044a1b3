// Kernel regression on data that is sharded over ranks.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/mask/boolean_mask.hpp"
#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/regression/prediction.hpp"
#include "nadaraya/sharded.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/sharded/communicator.hpp"
#include "nadaraya/sharded/exact_sum.hpp"
#include "nadaraya/similarity/squared_distance.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// A leave-one-out error and its derivative.
struct LeaveOneOutError {
  double value = 0;  ///< mean over the points of |y_i - f_i(x_i)|^2; +infinity if a point has no other within the bandwidth
  double by_bandwidth = 0;  ///< its derivative by h; 0 if it is infinite
};

/// The leave-one-out error of a regression at a bandwidth, on points x [n x Dx] and observations y [n x Dy] of every rank:
/// that of nadaraya::leave_one_out_error on all of them, up to rounding, and the same bits on all ranks and for any sharding.
/// One all_reduce_sum after a prefill and its backward pass. Throws std::invalid_argument on all ranks if the group has no
/// point.
template <Communicator C, Kernel K, RealExpression X, RealExpression Y>
LeaveOneOutError leave_one_out_error(C& ranks, const K& kernel, double bandwidth, const X& x, const Y& y) {
  using Scalar = ScalarOf<X>;
  const Operator op(NadarayaWatson(kernel, FixedBandwidth{bandwidth}, SquaredDistance{},
                                   BooleanMask{[](Index i, Index j) { return i != j; }}));
  RowMatrix<Scalar> predicted;
  const Tape<Scalar> tape = op.prefill(ranks, x, x, y, predicted);
  const auto points = static_cast<double>(tape.queries());
  nadaraya::detail::require(points > 0, "sharded::leave_one_out_error: x and y must have at least one row on some rank");
  for (Index i = 0; i < tape.queries(); ++i) {
    if (tape.support_size(i) == 0) return LeaveOneOutError{std::numeric_limits<double>::infinity(), 0};
  }
  Session<C> session(ranks);
  RowMatrix<Scalar> residual;
  std::vector<double> largest(2), sums(3);
  session.attempt([&] {
    residual = predicted - y;
    largest[0] = residual.size() > 0 ? static_cast<double>(residual.cwiseAbs().maxCoeff()) : 0.0;
    if (!std::isfinite(largest[0])) largest[0] = std::numeric_limits<double>::infinity();
  });
  session.all_reduce_max(std::span(largest));
  session.attempt([&] {
    const SplitAddition addition(largest[0] * largest[0], points * static_cast<double>(residual.cols()));
    for (Index i = 0; i < residual.size(); ++i) {
      const auto one = static_cast<double>(residual.data()[i]);
      addition.add(one * one, sums[0], sums[1]);
    }
    residual *= Scalar(2 / points);
  });
  session.all_reduce_sum(sums);
  const auto grads = op.backward(ranks, tape, residual);
  return LeaveOneOutError{(sums[0] + sums[1]) / points, static_cast<double>(grads.bandwidth)};
}

/// Kernel regression with the data of every rank where it is; see nadaraya::KernelRegression. All ranks call the same functions.
template <Kernel K, class Scalar = double>
class KernelRegression {
 public:
  /// A regression at a given bandwidth, with a copy of this rank's points x [n x Dx] and observations y [n x Dy]. Throws
  /// std::invalid_argument if their rows differ in number.
  template <RealExpression X, RealExpression Y>
  KernelRegression(K kernel, double bandwidth, const X& x, const Y& y)
      : op_(NadarayaWatson(std::move(kernel), FixedBandwidth{bandwidth}, SquaredDistance{})), x_(x), y_(y) {
    nadaraya::detail::require(x.rows() == y.rows(), "sharded::KernelRegression: x and y must have the same number of rows, got ",
                              nadaraya::detail::shape(x), " and ", nadaraya::detail::shape(y));
  }

  /// The bandwidth with the smallest leave-one-out error, the first of equals, on all ranks the same. Throws
  /// std::invalid_argument on all of them if there is none with a finite error.
  template <Communicator C, RealExpression X, RealExpression Y>
  static KernelRegression fit(C& ranks, const K& kernel, const X& x, const Y& y, const std::vector<double>& bandwidths) {
    double best = 0;
    double smallest = std::numeric_limits<double>::infinity();
    for (const double bandwidth : bandwidths) {
      const double error = sharded::leave_one_out_error(ranks, kernel, bandwidth, x, y).value;
      if (!(error < smallest)) continue;
      smallest = error;
      best = bandwidth;
    }
    nadaraya::detail::require(best > 0, "sharded::KernelRegression::fit: none of the ", bandwidths.size(),
                              " bandwidths has a finite leave-one-out error");
    return KernelRegression(kernel, best, x, y);
  }

  double bandwidth() const { return op_.on_one_machine().normalization().bandwidth; }  ///< h, given or chosen by `fit`.

  /// queries [Nq x Dx], which all ranks have -> values [Nq x Dy], the same on all ranks.
  template <Communicator C, RealExpression Q>
  Prediction<Scalar> predict(C& ranks, const Q& queries) const {
    Prediction<Scalar> prediction;
    const Tape<Scalar> tape = op_.forward(ranks, queries, x_, y_, prediction.values);
    double total = 0;
    for (Index i = 0; i < tape.queries(); ++i) {
      total += static_cast<double>(tape.support_size(i));
      if (tape.support_size(i) == 0) prediction.empty_rows.push_back(i);
    }
    prediction.mean_support = tape.queries() == 0 ? 0.0 : total / static_cast<double>(tape.queries());
    return prediction;
  }

 private:
  Operator<K, FixedBandwidth, SquaredDistance, NoMask> op_;
  RowMatrix<Scalar> x_;
  RowMatrix<Scalar> y_;
};

template <class K, RealExpression X, RealExpression Y>
KernelRegression(K, double, const X&, const Y&) -> KernelRegression<K, ScalarOf<X>>;

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
