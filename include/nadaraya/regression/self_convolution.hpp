// The convolution of a kernel with itself, for the integral of a squared density.
#pragma once

#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/regression/kernel_integral.hpp"
#include "nadaraya/regression/product.hpp"
#include "nadaraya/regression/quadrature.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// k(s) = int kappa(|u|) kappa(|u - s e|) du / (int kappa)^2 over R^D, e a unit vector, and its derivative. Of a
/// product, k of a factor. Compact kernels have a table of cubic pieces with errors of about 1e-8, whose derivative is
/// that of the table; for exponential ones it is a Gaussian of twice the variance.
class SelfConvolution {
 public:
  template <RegressionKernel K>
  static SelfConvolution of(const K& kernel, Index dimension) {
    const auto& factor = factor_of(kernel);
    using Factor = std::remove_cvref_t<decltype(factor)>;
    static_assert(CompactKernel<Factor> || ExponentialKernel<Factor>,
                  "least-squares cross-validation needs a compact or an exponential kernel");
    SelfConvolution result;
    result.separate_ = is_product<K>;
    const Index d = is_product<K> ? Index(1) : dimension;
    if constexpr (ExponentialKernel<Factor>) {
      // kappa ~ exp(-rate u^2): the variance is 1 / (2 rate).
      result.rate_ = factor.derivative(centre(factor)) / factor.profile(centre(factor)) / 2;
      result.peak_ = std::pow(result.rate_ / std::acos(-1.0), static_cast<double>(d) / 2);
    } else {
      result.tabulate(factor, d);
    }
    return result;
  }

  bool separate() const { return separate_; }
  bool compact() const { return table_.size() > 0; }

  /// k(s), s >= 0; 0 beyond 2 for a compact kernel.
  double operator()(double s, double& slope) const {
    if (!compact()) {
      const double value = peak_ * std::exp(-rate_ * s * s);
      slope = -2 * rate_ * s * value;
      return value;
    }
    slope = 0;
    if (!(s < 2)) return 0;
    const double at = s * (pieces / 2.0);
    const Index i = (std::min)(static_cast<Index>(at), Index(pieces - 1));
    const double t = at - static_cast<double>(i), a = table_(i), b = table_(i + 1), da = slopes_(i),
                 db = slopes_(i + 1);
    const double c2 = 3 * (b - a) - 2 * da - db, c3 = 2 * (a - b) + da + db;
    slope = (da + t * (2 * c2 + t * 3 * c3)) * (pieces / 2.0);
    return a + t * (da + t * (c2 + t * c3));
  }

 private:
  static constexpr int pieces = 256;

  template <class K>
  void tabulate(const K& kernel, Index dimension) {
    const double integral = kernel_integral(kernel, dimension), squared = integral * integral, middle = centre(kernel);
    const auto d = static_cast<double>(dimension);
    const auto at = [&](double square) { return square < 1 ? kernel.profile(middle - square) : 0.0; };
    table_.resize(pieces + 1);
    for (int i = 0; i <= pieces; ++i) {
      const double s = 2.0 * i / pieces;
      // Both balls, cut in two halves that mirror each other: x from s/2 to 1 along e, rho across.
      const auto slice = [&](double x) {
        const double own = x * x, other = (x - s) * (x - s);
        if (dimension == 1) return at(own) * at(other);
        const double widest = std::sqrt(1 - own);
        return sphere_surface(d - 1) *
               integrate([&](double rho) { return std::pow(rho, d - 2) * at(own + rho * rho) * at(other + rho * rho); },
                         0, widest, 6);
      };
      table_(i) = i < pieces ? 2 * integrate(slice, s / 2, 1, 8) / squared : 0.0;
    }
    // Derivatives, times the length of a piece, to fourth order; at the ends to second.
    slopes_.setZero(pieces + 1);
    slopes_(0) = (-3 * table_(0) + 4 * table_(1) - table_(2)) / 2;
    slopes_(1) = (table_(2) - table_(0)) / 2;
    slopes_(pieces - 1) = (table_(pieces) - table_(pieces - 2)) / 2;
    for (Index i = 2; i + 2 <= pieces; ++i)
      slopes_(i) = (8 * (table_(i + 1) - table_(i - 1)) - (table_(i + 2) - table_(i - 2))) / 12;
  }

  bool separate_ = false;
  double rate_ = 0, peak_ = 0;
  Eigen::VectorXd table_, slopes_;
};

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
