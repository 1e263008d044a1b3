// Quantiles of the normal distribution and of Student's t.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/types.hpp"

#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Newton from the left on a concave increasing function never passes its zero; ends where it no longer rises.
template <class Excess, class Slope>
double rise_to_zero(double x, const Excess& excess, const Slope& slope) {
  for (int i = 0; i < 200; ++i) {
    const double next = x - excess(x) / slope(x);
    if (!(next > x * (1 + 1e-14))) break;
    x = next;
  }
  return x;
}

/// P(|Z| <= z) = level for a standard normal Z, 0 <= level < 1.
inline double normal_quantile(double level) {
  constexpr double density = 0.79788456080286535588;  // sqrt(2 / pi)
  return rise_to_zero(
      0.0,
      [&](double z) {
        return level < 0.5 ? std::erf(z / std::sqrt(2.0)) - level : (1 - level) - std::erfc(z / std::sqrt(2.0));
      },
      [&](double z) { return density * std::exp(-0.5 * z * z); });
}

/// log Gamma(x) for x > 0, by Stirling's series from 12 on and x Gamma(x) = Gamma(x + 1) below (DLMF 5.11.1, 5.5.1). Error below
/// 2e-14, or of that relative size. Not std::lgamma, which writes the sign to a variable that all threads share.
inline double log_gamma(double x) {
  double passed = 1;
  for (; x < 12; ++x) passed *= x;
  const double r = 1 / x, r2 = r * r;
  const double series = r * (1.0 / 12 - r2 * (1.0 / 360 - r2 * (1.0 / 1260 - r2 * (1.0 / 1680 - r2 / 1188))));
  return (x - 0.5) * std::log(x) - x + 0.91893853320467274178 + series - std::log(passed);  // log(2 pi) / 2
}

/// I_x(a, b), the regularized incomplete beta function, by its continued fraction (Lentz 1976; DLMF 8.17.22).
inline double incomplete_beta(double a, double b, double x) {
  if (!(x > 0)) return 0;
  if (!(x < 1)) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front =
      std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
  constexpr double tiny = 1e-300;
  const auto away_from_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m < 10000; ++m) {
    for (const double term : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                              -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 / away_from_zero(1 + term * d);
      c = away_from_zero(1 + term / c);
      fraction *= c * d;
    }
    if (std::abs(c * d - 1) < 1e-15) break;
  }
  return front * fraction;
}

/// P(|T| <= t) = level for Student's t with `freedom` > 0 degrees of freedom, a real number; `normal` is
/// normal_quantile(level). Error below 1e-9 relative.
inline double student_quantile(double level, double freedom, double normal) {
  if (freedom > 1000) {
    // Cornish and Fisher's expansion in 1 / freedom (Abramowitz and Stegun 26.7.5).
    const double z = normal, z2 = z * z, v = freedom;
    const double g1 = z * (z2 + 1) / 4, g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
    const double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    const double g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
    return z + (g1 + (g2 + (g3 + g4 / v) / v) / v) / v;
  }
  const double log_density = std::log(2.0) + log_gamma((freedom + 1) / 2) - log_gamma(freedom / 2) -
                             0.5 * std::log(freedom * 3.14159265358979323846);
  return rise_to_zero(
      normal, [&](double t) { return (1 - level) - incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)); },
      [&](double t) { return std::exp(log_density - (freedom + 1) / 2 * std::log1p(t * t / freedom)); });
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
