// Derivatives of modules against finite differences in float64.
#pragma once

#include <nadaraya/mosaic/parameters.hpp>
#include <nadaraya/types.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <cmath>
#include <string>

namespace nadaraya::test {

/// Four-point central differences of a loss of up to 100, step h = 1e-5: h^4 / 30 times the fifth derivative, which the factors
/// of 10 in the exponents of the scalars bring to some 1e8, is 3e-14; rounding, some ulps of the loss over h, is 5e-9.
constexpr double step = 1e-5;

/// Compares gradient[i] with the slope of loss() by values[i]; under sanitizers, for which the losses are all alike, by every
/// seventh.
template <class Loss>
void require_gradient(double* values, const double* gradient, Index n, const Loss& loss, const std::string& name) {
  for (Index i = 0; i < n; i += sanitized ? 7 : 1) {
    const double at = values[i];
    const auto difference = [&](double h) {
      values[i] = at + h;
      const double high = loss();
      values[i] = at - h;
      const double low = loss();
      values[i] = at;
      return high - low;
    };
    const double numeric = (8 * difference(step) - difference(2 * step)) / (12 * step);
    if (!(std::abs(gradient[i] - numeric) <= 1e-8 + 1e-6 * std::abs(numeric))) {
      FAIL_CHECK(name << '[' << i << "]: " << gradient[i] << " instead of " << numeric);
    }
  }
}

template <class Loss>
void require_gradient(RowMatrix<double>& values, const RowMatrix<double>& gradient, const Loss& loss, const std::string& name) {
  REQUIRE(gradient.rows() == values.rows());
  REQUIRE(gradient.cols() == values.cols());
  require_gradient(values.data(), gradient.data(), values.size(), loss, name);
}

template <class Loss>
void require_gradients(const mosaic::Layout& layout, mosaic::Parameters<double>& parameters,
                       const mosaic::Parameters<double>& grads, const Loss& loss) {
  for (const auto& entry : layout.entries()) {
    require_gradient(parameters[entry.slot].data(), grads[entry.slot].data(), entry.slot.size(), loss, entry.name);
  }
}

/// Parameters and input of a module, and the weights of the sum of its outputs that is the loss.
struct Problem {
  static constexpr Index heads = 2, width = 6;
  mosaic::Layout layout;
  mosaic::Parameters<double> parameters, grads;
  RowMatrix<double> x, grad_x, weights;

  /// To be called once the module has entered its parameters in the layout. Those are near 0.1, where the
  /// exponents with a factor of 10 are near 1.
  void draw(Index tokens, std::uint64_t seed, double spread) {
    Random random(seed);
    parameters = mosaic::Parameters<double>(layout);
    grads = mosaic::Parameters<double>(layout);
    for (const auto& entry : layout.entries()) {
      const bool matrix = entry.shape.size() > 1;
      for (Index i = 0; i < entry.slot.size(); ++i) {
        parameters[entry.slot].data()[i] = matrix ? random.normal() : 0.1 + spread * random.uniform();
      }
    }
    x = random.normal<double>(tokens, width);
    weights = random.normal<double>(tokens, width);
  }

  /// loss(out) with gradient `weights`.
  double loss(const RowMatrix<double>& out) const { return out.cwiseProduct(weights).sum(); }

  template <class Loss>
  void require_right(const Loss& value) {
    require_gradient(x, grad_x, value, "x");
    require_gradients(layout, parameters, grads, value);
  }
};

}  // namespace nadaraya::test
