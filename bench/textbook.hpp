// The dense textbook computation of every rule, forward and backward, in float and in double, and how far the library
// and the textbook are from the exact result.
//
// In float it is what one would write with Eigen: the N x N matrices of scores, weights and their gradients are formed
// whole, every product is one of Eigen's ordinary products of whole matrices (scores scale * (Q K^T), out P V, dV P^T dO,
// G = dO V^T, dQ scale * (dZ K), dK scale * (dZ^T Q)), and every sum over a row is Eigen's sum(). Distances are summed
// from differences. Thresholds of entmax are Newton's, run until they stop, with the weights then divided by their sum.
// In double it is the oracle.
#pragma once

#include <nadaraya/nadaraya.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

namespace textbook {

using nadaraya::Index;
using nadaraya::RowMatrix;

enum class Normalization { adaptive, fixed, anchored, nearest };

/// A rule, chosen at run time. The kernel is [t]_+^exponent, or exp((t - 1) / 2) where the exponent is infinite. Fixed
/// rules compare squared distances, the others dot products times 1 / sqrt(D).
struct Rule {
  Normalization normalization = Normalization::adaptive;
  double exponent = std::numeric_limits<double>::infinity();
  double bandwidth = 1.0;
  Index neighbors = 0;

  bool gaussian() const { return std::isinf(exponent); }
  bool of_distances() const { return normalization == Normalization::fixed; }
};

/// The operands of an operator, and dL/dout.
struct Inputs {
  RowMatrix<float> query, key, value, grad_out;

  /// Normal numbers; those of the query times a scale, and a mean added to those of the value and of dL/dout.
  Inputs(Index queries, Index keys, Index dim, double scale, std::uint64_t seed, double mean = 0.0)
      : query(queries, dim), key(keys, dim), value(keys, dim), grad_out(queries, dim) {
    std::mt19937_64 engine(seed);
    const auto uniform = [&] { return static_cast<double>((engine() >> 11) + 1) * 0x1p-53; };
    const auto fill = [&](RowMatrix<float>& x, double size, double middle) {
      for (float& entry : x.reshaped()) {
        const double radius = std::sqrt(-2.0 * std::log(uniform()));
        entry = static_cast<float>(size * (radius * std::cos(6.283185307179586 * uniform())) + middle);
      }
    };
    fill(query, scale, 0.0);
    fill(key, 1.0, 0.0);
    fill(value, 1.0, mean);
    fill(grad_out, 1.0, mean);
  }
};

/// Out and gradients, by the parameters too where a rule has them.
template <class T>
struct Results {
  RowMatrix<T> out, query, key, value;
  T scale = T(0), bandwidth = T(0), alpha = T(0);
};

template <class T>
class Dense {
 public:
  using Row = Eigen::Array<T, 1, Eigen::Dynamic>;

  Dense(const Rule& rule, Index dim)
      : rule_(rule), r_(static_cast<T>(rule.exponent)), h2_(static_cast<T>(rule.bandwidth) * static_cast<T>(rule.bandwidth)) {
    scale_ = rule.of_distances() ? T(1) : T(1) / std::sqrt(static_cast<T>(dim));
  }

  /// `at_once` queries at a time; all of them if it is 0.
  Results<T> operator()(const Inputs& in, Index at_once) const {
    const RowMatrix<T> query = in.query.cast<T>(), key = in.key.cast<T>(), value = in.value.cast<T>(),
                       grad_out = in.grad_out.cast<T>();
    const Index n = query.rows();
    Results<T> all;
    all.out.resize(n, value.cols());
    all.query.resize(n, query.cols());
    all.key.setZero(key.rows(), key.cols());
    all.value.setZero(value.rows(), value.cols());
    const Index step = at_once > 0 ? at_once : n;
    for (Index i = 0; i < n; i += step) {
      const Index count = (std::min)(step, n - i);
      part(query.middleRows(i, count), key, value, grad_out.middleRows(i, count), i, all);
    }
    return all;
  }

 private:
  void part(const RowMatrix<T>& query, const RowMatrix<T>& key, const RowMatrix<T>& value, const RowMatrix<T>& grad_out,
            Index first, Results<T>& all) const {
    RowMatrix<T> scores;
    if (rule_.of_distances()) {
      scores.resize(query.rows(), key.rows());
      for (Index i = 0; i < query.rows(); ++i) {
        for (Index j = 0; j < key.rows(); ++j) scores(i, j) = -(query.row(i) - key.row(j)).squaredNorm();
      }
    } else {
      scores.noalias() = query * key.transpose();
    }
    RowMatrix<T> weights(query.rows(), key.rows());
    std::vector<RowState> rows(static_cast<std::size_t>(query.rows()));
    for (Index i = 0; i < query.rows(); ++i) {
      const Row z = scale_ * scores.row(i).array();
      weights.row(i) = weigh(z, rows[static_cast<std::size_t>(i)]);
    }
    all.out.middleRows(first, query.rows()).noalias() = weights * value;
    all.value.noalias() += weights.transpose() * grad_out;
    RowMatrix<T> grad(query.rows(), key.rows());
    grad.noalias() = grad_out * value.transpose();
    for (Index i = 0; i < query.rows(); ++i) {
      const Row z = scale_ * scores.row(i).array();
      const Row g = grad.row(i).array(), p = weights.row(i).array();
      grad.row(i) = unweigh(z, p, g, rows[static_cast<std::size_t>(i)], all);
    }
    all.scale += (grad.array() * scores.array()).sum();
    if (rule_.of_distances()) {
      // dz / dq = 2 (k - q), dz / dk = 2 (q - k)
      RowMatrix<T> product(query.rows(), query.cols());
      product.noalias() = grad * key;
      all.query.middleRows(first, query.rows()) = T(2) * (product - grad.rowwise().sum().asDiagonal() * query);
      RowMatrix<T> back(key.rows(), key.cols());
      back.noalias() = grad.transpose() * query;
      all.key += T(2) * (back - grad.colwise().sum().transpose().asDiagonal() * key);
    } else {
      RowMatrix<T> product(query.rows(), query.cols());
      product.noalias() = grad * key;
      all.query.middleRows(first, query.rows()) = scale_ * product;
      RowMatrix<T> back(key.rows(), key.cols());
      back.noalias() = grad.transpose() * query;
      all.key += scale_ * back;
    }
  }

  /// What unweigh needs to know again.
  struct RowState {
    T pivot = T(0);
    T offset = T(1);
    T mass = T(1);
    T least = -std::numeric_limits<T>::infinity();  ///< keys below it are not among the nearest
  };

  /// t^exponent and its derivative, 0 where t <= 0; or of the Gaussian.
  Row profile(const Row& t) const {
    if (rule_.gaussian()) return ((t - T(1)) / T(2)).exp();
    return power(t, rule_.exponent);
  }
  Row slope(const Row& t) const {
    if (rule_.gaussian()) return profile(t) / T(2);
    return r_ * power(t, rule_.exponent - 1.0);
  }
  static Row power(const Row& t, double exponent) {
    const Row inside = t.max(T(0));
    if (exponent == 0.0) return (t > T(0)).select(Row::Ones(t.size()), Row::Zero(t.size()));
    if (exponent == 1.0) return inside;
    if (exponent == 2.0) return inside.square();
    if (exponent == 3.0) return inside.cube();
    return inside.unaryExpr([exponent](T x) { return x > T(0) ? std::pow(x, static_cast<T>(exponent)) : T(0); });
  }

  Row coordinates(const Row& z, const RowState& row) const {
    if (rule_.normalization == Normalization::fixed) return T(1) + (z - row.pivot) / h2_;
    if (rule_.normalization == Normalization::anchored) return T(1) + (z - row.pivot) / h2_;
    if (rule_.gaussian()) return T(1) + T(2) * (z - row.pivot);
    return (z - row.pivot) / r_ + row.offset;
  }

  Row weigh(const Row& z, RowState& row) const {
    row.pivot = z.maxCoeff();
    if (rule_.normalization == Normalization::fixed && !rule_.gaussian()) row.pivot = T(0);
    if (rule_.normalization == Normalization::adaptive && !rule_.gaussian()) {
      // The sum of [t]^r is convex and falls as the offset falls from 1, where it is at least 1.
      const Row x = (z - row.pivot) / r_;
      for (int step = 0; step < 200; ++step) {
        const Row t = x + row.offset;
        const T next = row.offset - (profile(t).sum() - T(1)) / slope(t).sum();
        if (!(next < row.offset)) break;
        row.offset = next;
      }
    }
    Row p = profile(coordinates(z, row));
    if (rule_.normalization == Normalization::nearest && rule_.neighbors < z.size()) {
      std::vector<T> sorted(z.begin(), z.end());
      std::nth_element(sorted.begin(), sorted.begin() + (rule_.neighbors - 1), sorted.end(), std::greater<T>());
      row.least = sorted[static_cast<std::size_t>(rule_.neighbors - 1)];
      p = (z < row.least).select(T(0), p);
    }
    row.mass = p.sum();
    if (row.mass == T(0)) return Row::Zero(z.size());
    return p / row.mass;
  }

  /// dL/dz; adds the gradients of bandwidth and alpha.
  Row unweigh(const Row& z, const Row& p, const Row& g, const RowState& row, Results<T>& all) const {
    if (row.mass == T(0)) return Row::Zero(z.size());
    const bool adaptive = rule_.normalization == Normalization::adaptive;
    if (rule_.gaussian() && (adaptive || rule_.normalization == Normalization::nearest)) return p * (g - (p * g).sum());
    const Row t = coordinates(z, row);
    if (adaptive) {
      const Row s = power(t, rule_.exponent - 1.0);
      const T mean = (s * g).sum() / s.sum();
      const Row by_alpha = (t > T(0)).select(r_ * s * (z - row.pivot) - r_ * r_ * p * t.max(std::numeric_limits<T>::min()).log(), T(0));
      all.alpha += (by_alpha * (g - mean)).sum();
      return s * (g - mean);
    }
    const Row dt = slope(t) * (g - (p * g).sum()) / row.mass;
    all.bandwidth += T(2) / static_cast<T>(rule_.bandwidth) * (dt * (T(1) - t)).sum();
    Row dz = dt / h2_;
    if (rule_.normalization == Normalization::anchored) {
      Index nearest = 0;
      z.maxCoeff(&nearest);
      dz(nearest) -= dt.sum() / h2_;
    }
    return dz;
  }

  Rule rule_;
  T r_;
  T h2_;
  T scale_;
};

/// The largest errors of the library and of the textbook, in the root mean square over the inputs that are added: of one
/// input alone it is a matter of luck whose largest is the larger.
class Comparison {
 public:
  static constexpr const char* names[] = {"out", "dq", "dk", "dv", "dscale", "dwidth", "dalpha"};
  static constexpr std::size_t count = std::size(names);
  static constexpr std::size_t parameters = 4;  ///< from here on

  /// An operator of the library against the same rule above.
  template <class Op>
  void add(const Op& op, const Rule& rule, const Inputs& in) {
    Results<float> ours;
    const auto tape = op.forward(in.query, in.key, in.value, ours.out);
    const auto grads = op.backward(tape, in.grad_out);
    const Results<double> exact = Dense<double>(rule, in.query.cols())(in, 256);
    const Results<float> theirs = Dense<float>(rule, in.query.cols())(in, 0);
    add(0, ours.out, theirs.out, exact.out);
    add(1, grads.query, theirs.query, exact.query);
    add(2, grads.key, theirs.key, exact.key);
    add(3, grads.value, theirs.value, exact.value);
    if constexpr (requires { grads.scale; }) add(4, number(grads.scale), number(theirs.scale), number(exact.scale));
    if constexpr (requires { grads.bandwidth; }) {
      add(5, number(grads.bandwidth), number(theirs.bandwidth), number(exact.bandwidth));
    }
    if constexpr (requires { grads.alpha; }) add(6, number(grads.alpha), number(theirs.alpha), number(exact.alpha));
  }

  /// Ours over the textbook's; NaN if a result is, 0 where there is no such gradient.
  double ratio(std::size_t of) const { return std::sqrt(ours_[of] / (std::max)(theirs_[of], 1e-300)); }

  double largest() const {
    double most = 0;
    for (std::size_t of = 0; of < count; ++of) {
      if (!(ratio(of) <= most)) most = ratio(of);
      if (most != most) break;
    }
    return most;
  }

 private:
  template <class T>
  static Eigen::Matrix<T, 1, 1> number(T x) {
    return Eigen::Matrix<T, 1, 1>(x);
  }

  /// Half a unit in the last place of the largest entry is no error: neither can be asked for less.
  template <class Ours, class Exact>
  void add(std::size_t to, const Ours& ours, const Ours& theirs, const Exact& exact) {
    if (exact.size() == 0) return;
    const auto error = [&](const Ours& x) {
      return (x.template cast<double>() - exact).cwiseAbs().template maxCoeff<Eigen::PropagateNaN>();
    };
    const double least = 0.5 * double(std::numeric_limits<float>::epsilon()) * exact.cwiseAbs().maxCoeff();
    const double ours_error = error(ours), theirs_error = (std::max)(error(theirs), least);
    ours_[to] += ours_error * ours_error;
    theirs_[to] += theirs_error * theirs_error;
  }

  double ours_[count] = {};
  double theirs_[count] = {};
};

}  // namespace textbook
