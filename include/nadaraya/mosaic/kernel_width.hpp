// The learned width of every head's kernel, and its alpha.
#pragma once

#include "nadaraya/mosaic/memory_kernel.hpp"
#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Widths of kernels: beta = e^{min(10 kernel_beta, 5)} per head, and, where it is learned, alpha = 1 + 1 / (1 + e^{-10
/// kernel_alpha}), between softmax's 1 and sparsemax's 2. Above the minimum no gradient reaches kernel_beta.
class KernelWidth {
 public:
  /// Adds kernel_beta, and with_alpha kernel_alpha, [heads] each, to the layout.
  KernelWidth(Layout& layout, const std::string& prefix, Index heads, bool with_alpha)
      : beta_(layout.add(prefix + "kernel_beta", {heads}, heads)) {
    if (with_alpha) alpha_ = layout.add(prefix + "kernel_alpha", {heads}, heads);
  }

  /// beta and alpha of each head.
  template <class Scalar>
  std::vector<KernelShape> shapes(const Parameters<Scalar>& parameters) const {
    std::vector<KernelShape> result;
    for (Index h = 0; h < beta_.cols; ++h) {
      KernelShape shape;
      shape.beta = std::exp((std::min)(10.0 * static_cast<double>(parameters[beta_](0, h)), 5.0));
      if (alpha_.size() > 0) shape.alpha = alpha_of(static_cast<double>(parameters[alpha_](0, h)));
      result.push_back(shape);
    }
    return result;
  }

  /// Adds to `grads`, given the gradients by the shapes.
  template <class Scalar>
  void backward(const Parameters<Scalar>& parameters, std::span<const KernelShape> by_shape,
                Parameters<Scalar>& grads) const {
    const std::vector<KernelShape> at = shapes(parameters);
    for (Index h = 0; h < beta_.cols; ++h) {
      const auto i = static_cast<std::size_t>(h);
      if (10.0 * static_cast<double>(parameters[beta_](0, h)) <= 5.0) {
        grads[beta_](0, h) += static_cast<Scalar>(10.0 * at[i].beta * by_shape[i].beta);
      }
      if (alpha_.size() > 0) {
        const double sigmoid = at[i].alpha - 1.0;
        grads[alpha_](0, h) += static_cast<Scalar>(10.0 * sigmoid * (1.0 - sigmoid) * by_shape[i].alpha);
      }
    }
  }

 private:
  /// Kept a little off softmax, which RectifiedPower only tends to.
  static double alpha_of(double raw) { return 1.0 + (std::max)(1.0 / (1.0 + std::exp(-10.0 * raw)), 1e-4); }

  Slot beta_;
  Slot alpha_;
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
