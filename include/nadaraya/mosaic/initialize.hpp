// The parameters that training starts from.
#pragma once

#include "nadaraya/mosaic/parameters.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstdint>
#include <random>
#include <string_view>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// Where kernels start: beta = e^{10 kernel_beta}, alpha = 1 + sigmoid(10 kernel_alpha).
struct InitialWidth {
  double kernel_beta = 0.1;  ///< of every head, a width of e^(10 kernel_beta)
  double kernel_alpha = 0.0;  ///< of every head where it is learned; 0 is alpha = 1.5
};

/// Matrices are normal with variance 1 / fan-in, and the projections that end a memory have that divided
/// by the number of layers; the embedding, which is also the head, and the persistent pairs count as
/// matrices with a row for each token or pair. Layer norms are 1, leaky averages forget at rates 0.5 to 5
/// over the heads, values have scale e^-0.5, and the shares of the next token are uniform in [0, 1).
/// A kernel's own width is given. The same seed gives the same numbers with every standard library.
template <class Scalar>
void initialize(const Layout& layout, Index layers, std::uint64_t seed, const InitialWidth& width,
                Parameters<Scalar>& parameters) {
  std::mt19937_64 engine(seed);
  const auto uniform = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
  const auto normal = [&] {
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  };
  for (const Layout::Entry& entry : layout.entries()) {
    const std::string_view name = entry.name;
    auto values = parameters.vector().segment(entry.slot.offset, entry.slot.size());
    const auto fill = [&](const auto& draw) {
      for (Index i = 0; i < values.size(); ++i) values(i) = static_cast<Scalar>(draw(i));
    };
    if (entry.shape.size() > 1) {
      double deviation = 1.0 / std::sqrt(static_cast<double>(entry.slot.cols));
      if (name.ends_with("c_proj.weight")) deviation /= std::sqrt(static_cast<double>(layers));
      fill([&](Index) { return deviation * normal(); });
    } else if (name.ends_with("leaky_key_beta")) {
      const auto last = static_cast<double>(values.size() - 1);
      fill([&](Index i) { return 0.05 + (last == 0 ? 0.0 : 0.45 * static_cast<double>(i) / last); });
    } else if (name.ends_with("attn.kernel_beta")) {
      fill([&](Index) { return width.kernel_beta; });
    } else if (name.ends_with("kernel_beta")) {
      fill([](Index) { return 0.1; });
    } else if (name.ends_with("kernel_alpha")) {
      fill([&](Index) { return width.kernel_alpha; });
    } else if (name.ends_with("value_beta")) {
      fill([](Index) { return -0.05; });
    } else if (name.ends_with("coef")) {
      fill([&](Index) { return uniform(); });
    } else {
      fill([](Index) { return 1.0; });
    }
  }
}

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
