// Intervals that hold at all queries together.
#pragma once

#include "nadaraya/engine/executor.hpp"
#include "nadaraya/mosaic/counter_random.hpp"
#include "nadaraya/regression/diagnostics.hpp"
#include "nadaraya/regression/inference.hpp"
#include "nadaraya/regression/local_design.hpp"
#include "nadaraya/regression/local_fit.hpp"
#include "nadaraya/regression/student.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

namespace detail {

/// A standard normal number of each draw and point (Box and Muller 1958).
inline double normal_draw(const mosaic::CounterRandom& random, std::uint64_t i) {
  const auto uniform = [&](std::uint64_t at) { return (static_cast<double>(random[at] >> 11) + 0.5) * 0x1p-53; };
  return std::sqrt(-2 * std::log(uniform(2 * i))) * std::cos(2 * std::acos(-1.0) * uniform(2 * i + 1));
}

/// The fits at all queries: c_j for the points of each support.
struct FitWeights {
  std::vector<std::vector<KeyIndex>> points;
  std::vector<Eigen::VectorXd> weights;
};

/// For each output, the `level` quantile of max_q |sum_j c_j(q) noise_j^(1/2) g_j| / error(q), g normal. errors [Nq x
/// Dy].
inline Eigen::VectorXd band_quantiles(const FitWeights& fits, const RowMatrix<double>& noise,
                                      const RowMatrix<double>& errors, double level, const BandDraws& draws,
                                      const AnyExecutor& executor) {
  const Index n = noise.rows(), outputs = noise.cols();
  const RowMatrix<double> deviations = noise.cwiseSqrt();
  Eigen::MatrixXd largest = Eigen::MatrixXd::Zero(draws.count, outputs);
  double terms = static_cast<double>(n) * 20;
  for (const auto& points : fits.points) terms += static_cast<double>(points.size());
  executor.parallel_for(
      draws.count,
      [&](Index draw) {
        const mosaic::CounterRandom random(draws.seed, static_cast<std::uint64_t>(draw), 0);
        Eigen::VectorXd errors_of_points(n);
        for (Index j = 0; j < n; ++j) errors_of_points(j) = normal_draw(random, static_cast<std::uint64_t>(j));
        for (std::size_t i = 0; i < fits.points.size(); ++i) {
          for (Index o = 0; o < outputs; ++o) {
            const double error = errors(static_cast<Index>(i), o);
            if (!(error > 0)) continue;
            double sum = 0;
            for (std::size_t j = 0; j < fits.points[i].size(); ++j) {
              const Index point = fits.points[i][j];
              sum += fits.weights[i](static_cast<Index>(j)) * deviations(point, o) * errors_of_points(point);
            }
            largest(draw, o) = (std::max)(largest(draw, o), abs(sum) / error);
          }
        }
      },
      Cost{terms * draws.count});
  Eigen::VectorXd quantiles(outputs);
  const Index rank = (std::min)(static_cast<Index>(std::ceil(level * (draws.count + 1))), Index(draws.count)) - 1;
  for (Index o = 0; o < outputs; ++o) {
    std::vector<double> sorted(largest.col(o).data(), largest.col(o).data() + draws.count);
    std::nth_element(sorted.begin(), sorted.begin() + rank, sorted.end());
    quantiles(o) = sorted[static_cast<std::size_t>(rank)];
  }
  return quantiles;
}

/// As predict_intervals(), the normal quantile replaced by that of the largest of all errors, before Student's t widens
/// it.
inline IntervalPrediction predict_bands(const LocalDesign& design, const RowMatrix<double>& q,
                                        const RowMatrix<double>& noise, double level, const BandDraws& draws,
                                        const AnyExecutor& executor) {
  IntervalPrediction result = predict_intervals(design, q, noise, level, executor);
  FitWeights fits{std::vector<std::vector<KeyIndex>>(static_cast<std::size_t>(q.rows())),
                  std::vector<Eigen::VectorXd>(static_cast<std::size_t>(q.rows()))};
  Eigen::VectorXd freedom = Eigen::VectorXd::Ones(q.rows());
  for_fits(design, q, executor, [&](Index i, const LocalFit& fit) {
    const auto row = static_cast<std::size_t>(i);
    fits.weights[row] = fit.corrected();
    for (Index j = 0; j < fit.corrected().size(); ++j) fits.points[row].push_back(static_cast<KeyIndex>(fit.point(j)));
    const double squares = fit.corrected().squaredNorm();
    freedom(i) = squares * squares / fit.corrected().cwiseAbs2().squaredNorm();
  });
  const Eigen::VectorXd quantiles = band_quantiles(fits, noise, result.standard_errors, level, draws, executor);
  for (Index o = 0; o < quantiles.size(); ++o) {
    const double level_of_one = std::erf(quantiles(o) / std::sqrt(2.0));
    for (Index i = 0; i < q.rows(); ++i) {
      const double half = student_quantile(level_of_one, freedom(i), quantiles(o)) * result.standard_errors(i, o);
      result.lower(i, o) = result.values(i, o) - half;
      result.upper(i, o) = result.values(i, o) + half;
    }
  }
  return result;
}

}  // namespace detail

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
