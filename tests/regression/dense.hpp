// Local fits by dense least squares in long double, and data for them.
#pragma once

#include <nadaraya/reference.hpp>
#include <nadaraya/reference_least_squares.hpp>
#include <nadaraya/regression/local_regression.hpp>

#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace nadaraya::test {

using Matrix = RowMatrix<double>;
using Vector = Eigen::VectorXd;

/// Two outputs of D columns, with noise and unequal weights.
struct LocalExample {
  Matrix x, y;
  LocalModel model;

  LocalExample(Index n, Index dimension, int degree, unsigned seed = 1) : x(n, dimension), y(n, 2) {
    Random random(seed);
    model.degree = degree;
    model.weights.resize(n);
    for (Index i = 0; i < n; ++i) {
      for (Index d = 0; d < dimension; ++d) x(i, d) = random.uniform() * (1.0 + static_cast<double>(d));
      y.row(i) << std::sin(4 * x(i, 0)) + 0.2 * random.normal(), x.row(i).sum() + 0.1 * random.normal();
      model.weights(i) = 0.5 + random.uniform();
    }
  }
};

/// The weights c(q) of all points, zero outside the support; `left_out` has none.
template <class K>
Vector dense_weights(const K& kernel, const Vector& h, const Matrix& x, const LocalModel& model, const Vector& q, Index left_out) {
  const Vector query = q.cwiseQuotient(h);
  std::vector<long double> w;
  std::vector<Index> support;
  for (Index j = 0; j < x.rows(); ++j) {
    const Vector offset = x.row(j).transpose().cwiseQuotient(h) - query;
    const long double kappa = reference::profile(kernel, static_cast<long double>(offset.squaredNorm()));
    if (!(kappa > 0) || j == left_out) continue;
    w.push_back(kappa * (model.weights.size() > 0 ? model.weights(j) : 1.0));
    support.push_back(j);
  }
  Matrix keys(static_cast<Index>(support.size()), x.cols());
  for (std::size_t s = 0; s < support.size(); ++s) {
    keys.row(static_cast<Index>(s)) = x.row(support[s]).cwiseQuotient(h.transpose());
  }
  const auto c = reference::local_fit<long double>(model.degree, model.ridge, query, keys, w);
  Vector all = Vector::Zero(x.rows());
  for (std::size_t s = 0; s < support.size(); ++s) all(support[s]) = static_cast<double>(c[s]);
  return all;
}

/// NaN if there is one.
template <class M>
double largest(const M& x) {
  return x.cwiseAbs().template maxCoeff<Eigen::PropagateNaN>();
}

}  // namespace nadaraya::test
