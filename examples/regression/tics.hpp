// Tics of a picture that can be told apart.
#pragma once

#include "../support/gnuplot.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <string>

namespace regression {

/// Where gnuplot's own six digits do not tell tics apart: more digits, and along x, where they would run into each other,
/// fewer tics.
inline std::string tics(const std::string& axis, const Eigen::VectorXd& values) {
  const double most = values.cwiseAbs().maxCoeff(), range = values.maxCoeff() - values.minCoeff();
  const double digits = range > 0 ? std::log10(most / range) + 3.0 : 0.0;
  if (!(digits > 6.0)) return "";
  const std::string format =
      "set format " + axis + " \"%." + std::to_string(static_cast<int>(std::min(digits, 17.0))) + "g\"\n";
  if (axis != "x") return format;
  double step = std::pow(10.0, std::floor(std::log10(range / 4.0)));
  step *= range / 4.0 <= 2.0 * step ? 2.0 : range / 4.0 <= 5.0 * step ? 5.0 : 10.0;
  return format + "set xtics " + gnuplot::number(step) + "\n";
}

}  // namespace regression
