// The rectified polynomial with a real exponent chosen at run time: alpha-entmax for any alpha > 1.
#pragma once

#include "nadaraya/detail/check.hpp"
#include "nadaraya/detail/math.hpp"
#include "nadaraya/kernel/kernel.hpp"

#include <limits>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya {

/// Rectified power: kappa(u) = [1 - u^2]_+^r for a real r > 0; alpha = 1 + 1/r.
///
/// Towards alpha = 1 the exponent is large and t is close to 1 for every key, so t itself would
/// lose the digits that matter: an error of eps in t is one of r eps in t^r. Above r = 16 the
/// coordinate is therefore measured from the centre (t - 1, that is -u^2) and the power is taken
/// as exp(r log1p(t)); the weights then tend to softmax's at full precision.
///
/// It is made from alpha or from the exponent, which are easily taken for each other:
///   RectifiedPower::with_alpha(1.5)       1.5-entmax when normalized adaptively: exponent 2
///   RectifiedPower::with_exponent(1.5)    t^1.5: alpha = 5/3
class RectifiedPower {
 public:
  static constexpr bool compact = true;  ///< zero for t <= 0
  static constexpr bool homogeneous = true;  ///< kappa(s t) = kappa(s) kappa(t)

  /// The kernel of alpha-entmax, exponent 1 / (alpha - 1). Throws std::invalid_argument unless alpha is finite and
  /// exceeds 1; for alpha = 1 use Gaussian.
  static RectifiedPower with_alpha(double alpha) {
    detail::require(alpha > 1.0 && alpha <= 1e300, "RectifiedPower::with_alpha: alpha must be finite and exceed 1, got ",
                    alpha, " (alpha = 1 is Gaussian)");
    return RectifiedPower(1.0 / (alpha - 1.0));
  }

  /// The kernel t^exponent. Throws std::invalid_argument unless the exponent is positive and finite.
  static RectifiedPower with_exponent(double exponent) {
    detail::require(exponent >= 1e-300 && exponent <= 1e300,
                    "RectifiedPower::with_exponent: exponent must be positive and finite, got ", exponent);
    return RectifiedPower(exponent);
  }

  double exponent() const { return exponent_; }  ///< r
  double alpha() const { return 1.0 + 1.0 / exponent_; }  ///< The alpha of its entmax, 1 + 1 / r.
  double width() const { return exponent_; }  ///< 1 / (alpha - 1)
  double centre() const { return exponent_ > 16.0 ? 0.0 : 1.0; }  ///< Above r = 16, t counts from the centre.

  /// Throws std::invalid_argument if the scalar in use cannot hold the exponent.
  template <class Scalar>
  void validate() const {
    using Limits = std::numeric_limits<Scalar>;
    if constexpr (std::is_floating_point_v<Scalar> && Limits::max_exponent < std::numeric_limits<double>::max_exponent) {
      detail::require(exponent_ >= static_cast<double>((Limits::min)()) && exponent_ <= static_cast<double>((Limits::max)()),
                      "RectifiedPower: the scalar in use cannot hold the exponent ", exponent_);
    }
  }

  /// kappa(t) = t^r, and (1 + t)^r where t counts from the centre.
  template <class Scalar>
  Scalar profile(const Scalar& t) const {
    return raise(t, exponent_);
  }

  /// kappa'(t) = r t^(r-1), and r (1 + t)^(r-1) where t counts from the centre.
  template <class Scalar>
  Scalar derivative(const Scalar& t) const {
    // From the centre with the rounding of the profile itself, which goes out where weights are divided by their sum.
    if (centre() == 0.0) return Scalar(Scalar(exponent_) * (profile(t) / (Scalar(1) + t)));
    return Scalar(Scalar(exponent_) * raise(t, exponent_ - 1.0));
  }

  /// d t^r / d alpha at fixed t: -r^2 t^r log t.
  template <class Scalar>
  Scalar alpha_derivative(const Scalar& t) const {
    const auto r = static_cast<Scalar>(exponent_);
    const Scalar value = profile(t);
    if (value == Scalar(0)) return value;  // r log t may overflow
    return Scalar(-(r * value) * (r * logarithm(t)));
  }

  /// Three derivatives that share a power: kappa(t), kappa'(t), and the derivative by alpha of (1 + (alpha - 1) y)^(1 /
  /// (alpha - 1)) at fixed y = r (t - 1).
  template <class Scalar>
  struct AdaptiveSlopes {
    Scalar value{0};  ///< kappa(t)
    Scalar by_t{0};  ///< kappa'(t)
    Scalar by_alpha{0};  ///< the derivative by alpha at fixed similarity
  };

  /// The last is r^2 t^r (x / (1 + x) - log(1 + x)), x = t - 1. For small x the bracket is
  /// -x^2/2 + 2 x^3/3 - 3 x^4/4 + ..., which tends to -y^2/2, softmax's own derivative
  /// (Correia, Niculae & Martins 2019, proposition 1). One power and one logarithm for all.
  template <class Scalar>
  AdaptiveSlopes<Scalar> adaptive_slopes(const Scalar& t) const {
    const auto r = static_cast<Scalar>(exponent_);
    const Scalar power = raise(t, exponent_ - 1.0);
    if (power == Scalar(0)) return {};  // r x may overflow
    const Scalar x(t - Scalar(centre()));
    const Scalar value(power * Scalar(t + Scalar(1.0 - centre())));
    if (detail::abs(x) < Scalar(0.03)) {
      // Ten terms leave 0.03^10, below 1e-15 of the first.
      Scalar series(0);
      for (int n = 11; n >= 2; --n) {
        const auto coefficient = static_cast<Scalar>(static_cast<double>(n - 1) / n * (n % 2 == 0 ? -1.0 : 1.0));
        series = coefficient + x * series;
      }
      return {value, Scalar(r * power), Scalar(r * x * r * x * value * series)};
    }
    // t^r x / (1 + x) = t^(r-1) x, written so that t -> 0 meets no 0 / 0 for r > 1.
    return {value, Scalar(r * power), Scalar(r * (r * (x * power - value * logarithm(t))))};
  }

  /// AdaptiveSlopes::by_alpha on its own.
  template <class Scalar>
  Scalar adaptive_alpha_derivative(const Scalar& t) const {
    return adaptive_slopes(t).by_alpha;
  }

 private:
  explicit RectifiedPower(double exponent) : exponent_(exponent) {}

  /// log of the distance from the edge, which near the edge is below the rounding of 1 - t.
  template <class Scalar>
  Scalar logarithm(const Scalar& t) const {
    return centre() == 0.0 ? detail::log1p(t) : detail::log(t);
  }

  template <class Scalar>
  Scalar raise(const Scalar& t, double power) const {
    if (centre() == 0.0) return detail::exp(Scalar(Scalar(power) * detail::log1p(t)));
    return detail::pow(t, power);
  }

  double exponent_;
};

}  // namespace nadaraya

#include "nadaraya/detail/end_precise.hpp"
