// A column as it is computed with.
#pragma once

#include <Eigen/Core>

#include <cmath>
#include <limits>

namespace regression {

/// Numbers from an origin on, divided by a power of two: that rounds nothing but the difference, and squares neither
/// overflow, underflow nor cancel, be the column seconds of a year 1970 or a length of atoms.
struct Scale {
  double origin = 0;
  double unit = 1;

  Eigen::VectorXd to(const Eigen::VectorXd& column) const { return (column.array() - origin) / unit; }
  Eigen::VectorXd from(const Eigen::VectorXd& scaled) const { return scaled.array() * unit + origin; }
};

/// The greatest power of two up to a positive number; of subnormal ones, and 0, the least normal number.
inline double power_of_two_below(double x) {
  return x >= (std::numeric_limits<double>::min)() ? std::ldexp(1.0, std::ilogb(x)) : (std::numeric_limits<double>::min)();
}

/// From the least number on, in units of the range, which is infinite where it is too large for a double.
inline Scale scale_by_range(const Eigen::VectorXd& column) {
  const double least = column.minCoeff();
  return {least, power_of_two_below(column.maxCoeff() - least)};
}

/// From 0 on, in units of the largest magnitude.
inline Scale scale_by_size(const Eigen::VectorXd& column) { return {0.0, power_of_two_below(column.cwiseAbs().maxCoeff())}; }

}  // namespace regression
