// The ratio of noise to curvature that the direct plug-in bandwidth is made of.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/mix/ridged_fit.hpp"
#include "nadaraya/regression/any_kernel.hpp"
#include "nadaraya/regression/local_data.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/local_fit.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// Points of one column in ascending order.
struct SortedPoints {
  Eigen::VectorXd x, y;
};

/// Without the hundredth part with the smallest x and that with the largest.
inline SortedPoints trimmed_points(const RowMatrix<double>& x, const RowMatrix<double>& y) {
  std::vector<Index> rows(static_cast<std::size_t>(x.rows()));
  std::iota(rows.begin(), rows.end(), Index(0));
  std::stable_sort(rows.begin(), rows.end(), [&](Index a, Index b) { return x(a, 0) < x(b, 0); });
  const Index cut = x.rows() / 100, n = x.rows() - 2 * cut;
  SortedPoints points{Eigen::VectorXd(n), Eigen::VectorXd(n)};
  for (Index i = 0; i < n; ++i) {
    const Index row = rows[static_cast<std::size_t>(i + cut)];
    points.x(i) = x(row, 0);
    points.y(i) = y(row, 0);
  }
  return points;
}

/// Quartics fitted to consecutive blocks of points.
struct BlockedQuartics {
  double squares = 0;  ///< sum of the squared residuals
  double bend = 0;     ///< mean of m'' m''''
};

inline BlockedQuartics blocked_quartics(const SortedPoints& points, Index blocks) {
  BlockedQuartics result;
  const Index n = points.x.size(), length = n / blocks;
  RidgedFit<double> fit;
  for (Index block = 0; block < blocks; ++block) {
    const Index first = block * length, size = block + 1 < blocks ? length : n - first;
    const auto x = points.x.segment(first, size).array();
    const double middle = (x(0) + x(size - 1)) / 2, half = (std::max)((x(size - 1) - x(0)) / 2, 1e-300);
    fit.resize(size, 4);
    fit.weights().setOnes();
    auto powers = fit.columns();
    powers.col(0) = (x - middle) / half;
    for (Index m = 1; m < 4; ++m) powers.col(m) = powers.col(m - 1).cwiseProduct(powers.col(0));
    fit.fit(1e-13);
    fit.pull(points.y.segment(first, size));  // its coefficients are nu
    result.squares += fit.residual().squaredNorm();
    for (Index i = 0; i < size; ++i) {
      const double t = (x(i) - middle) / half;
      const double second = (2 * fit.nu()(1) + 6 * fit.nu()(2) * t + 12 * fit.nu()(3) * t * t) / (half * half);
      result.bend += second * 24 * fit.nu()(3) / std::pow(half, 4) / static_cast<double>(n);
    }
  }
  return result;
}

/// The number of blocks, at most 5, with the smallest C_p (Mallows 1973).
inline Index block_count(const SortedPoints& points) {
  const Index n = points.x.size(), most = std::clamp(n / 20, Index(1), Index(5));
  const double left = static_cast<double>(n - 5 * most), variance = blocked_quartics(points, most).squares / left;
  Index best = 1;
  double best_value = 0;
  for (Index blocks = 1; blocks <= most; ++blocks) {
    const double value = blocked_quartics(points, blocks).squares + 10 * static_cast<double>(blocks) * variance;
    if (blocks == 1 || value < best_value) {
      best = blocks;
      best_value = value;
    }
  }
  return best;
}

/// Points shared out linearly to the two next of 401 places from the first to the last; as weighted observations.
inline LocalData binned(const SortedPoints& points, int degree) {
  constexpr Index places = 401;
  const double first = points.x(0), step = (points.x(points.x.size() - 1) - first) / (places - 1);
  Eigen::VectorXd counts = Eigen::VectorXd::Zero(places), sums = counts;
  for (Index i = 0; i < points.x.size(); ++i) {
    const double at = (points.x(i) - first) / step;
    const Index place = (std::min)(static_cast<Index>(at), places - 2);
    const double share = at - static_cast<double>(place);
    counts(place) += 1 - share;
    counts(place + 1) += share;
    sums(place) += (1 - share) * points.y(i);
    sums(place + 1) += share * points.y(i);
  }
  const Index used = (counts.array() > 0).count();
  LocalData data{RowMatrix<double>(used, 1), RowMatrix<double>(used, 1), Eigen::VectorXd(used), degree, 1e-10};
  Index row = 0;
  for (Index place = 0; place < places; ++place) {
    if (!(counts(place) > 0)) continue;
    data.x(row, 0) = first + step * static_cast<double>(place);
    data.y(row, 0) = sums(place) / counts(place);
    data.weights(row++) = counts(place);
  }
  return data;
}

/// The mean of m''^2 by a local cubic with a Gaussian of deviation h, without the twentieth part of the range at each
/// end.
inline double curvature(const LocalData& bins, double h) {
  const Gaussian kernel;
  const Eigen::VectorXd bandwidth = Eigen::VectorXd::Constant(1, h);
  const LocalDesign design = design_of({AnyKernel::of(kernel), bins, bandwidth});
  LocalFit fit(design);
  Eigen::VectorXd q(1), weights;
  const double first = bins.x(0, 0), range = bins.x(bins.x.rows() - 1, 0) - first;
  double sum = 0;
  for (Index i = 0; i < bins.x.rows(); ++i) {
    const double part = (bins.x(i, 0) - first) / range;
    q(0) = bins.x(i, 0) / h;
    if (part < 0.05 || part > 0.95 || !fit.fit(q, -1)) continue;
    fit.slope_weights(1, weights);
    const double second = 2 * weights.dot(fit.values().col(0)) / (h * h);
    sum += bins.weights(i) * second * second;
  }
  return sum / bins.weights.sum();
}

/// The variance of the residuals of a local line with a Gaussian of deviation h.
inline double residual_variance(const LocalData& bins, const Eigen::VectorXd& y, double h) {
  const Gaussian kernel;
  const Eigen::VectorXd bandwidth = Eigen::VectorXd::Constant(1, h);
  const LocalDesign design = design_of({AnyKernel::of(kernel), bins, bandwidth});
  LocalFit fit(design);
  Eigen::VectorXd q(1);
  double squares = y.squaredNorm(), freedom = static_cast<double>(y.size());
  for (Index i = 0; i < bins.x.rows(); ++i) {
    q(0) = bins.x(i, 0) / h;
    if (!fit.fit(q, -1)) continue;
    const double value = fit.predicted()(0), count = bins.weights(i);
    squares += count * value * (value - 2 * bins.y(i, 0));
    freedom -= 2 * fit.corrected()(fit.position(i));
    for (Index j = 0; j < fit.corrected().size(); ++j) {
      freedom += count * fit.corrected()(j) * fit.corrected()(j) / bins.weights(fit.point(j));
    }
  }
  return squares / freedom;
}

/// sigma^2 (b - a) / (N mean m''^2).
inline double plug_in_ratio(const RowMatrix<double>& x, const RowMatrix<double>& y) {
  const char* const name = "plug_in_bandwidth";
  require(x.cols() == 1 && y.cols() == 1 && x.rows() == y.rows() && x.rows() >= 10, name,
          ": x and y must be one column with the same number of rows, at least 10, got ", shape(x), " and ", shape(y));
  require_finite_rows(x, name, "x");
  require_finite_rows(y, name, "y");
  const SortedPoints points = trimmed_points(x, y);
  const auto n = static_cast<double>(points.x.size());
  const double range = points.x(points.x.size() - 1) - points.x(0), pi = std::acos(-1.0);
  require(range > 0, name, ": x ", shape(x), " is constant");
  const Index blocks = block_count(points);
  const BlockedQuartics quartics = blocked_quartics(points, blocks);
  require(quartics.squares > 1e-20 * points.y.squaredNorm(), name, ": y ", shape(y),
          " has no noise to choose a bandwidth by");
  const double variance = quartics.squares / (n - 5 * static_cast<double>(blocks));
  const double factor = quartics.bend < 0 ? 3 / (8 * std::sqrt(pi)) : 15 / (16 * std::sqrt(pi));
  const double for_bend = std::pow(factor * variance * range / (abs(quartics.bend) * n), 1.0 / 7);
  require(for_bend > 0 && is_finite(for_bend), name, ": y ", shape(y), " has no curvature to choose a bandwidth by");
  const double bend = curvature(binned(points, 3), for_bend);
  const double constant = 4 * (0.5 + 2 * std::sqrt(2.0) - 4 * std::sqrt(3.0) / 3) / std::sqrt(2 * pi);
  const double for_variance = std::pow(constant * variance * variance * range / std::pow(bend * n, 2), 1.0 / 9);
  require(for_variance > 0 && is_finite(for_variance), name, ": y ", shape(y),
          " has no curvature to choose a bandwidth by");
  return residual_variance(binned(points, 1), points.y, for_variance) * range / (bend * n);
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
