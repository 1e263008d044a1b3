// Which regression the heads of a memory compute, and how wide its kernel is.
#pragma once

#include "nadaraya/kernel/gaussian.hpp"
#include "nadaraya/kernel/rectified_polynomial.hpp"
#include "nadaraya/kernel/rectified_power.hpp"
#include "nadaraya/kernel/uniform.hpp"
#include "nadaraya/mask/causal.hpp"
#include "nadaraya/nadaraya_watson.hpp"
#include "nadaraya/normalization/adaptive.hpp"
#include "nadaraya/normalization/anchored.hpp"
#include "nadaraya/normalization/fixed_bandwidth.hpp"
#include "nadaraya/normalization/nearest_neighbors.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/squared_distance.hpp"
#include "nadaraya/types.hpp"

#include <concepts>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::mosaic {

/// What a head learns of its kernel: beta, the inverse of a bandwidth, and alpha where the kernel has one.
/// Also a gradient by these.
struct KernelShape {
  double beta = 1.0;  ///< inverse bandwidth
  double alpha = 1.5;  ///< of kernels that learn it
};

/// A memory kernel gives each head its operator, over keys and queries on the unit sphere, and carries
/// the gradients of that operator's parameters back to the shape:
///   NadarayaWatson<...> head(KernelShape shape) const
///   KernelShape pullback(KernelShape shape, gradients) const
/// and may say
///   static constexpr bool learns_alpha = true;
template <class M>
concept MemoryKernel = std::copyable<M> && requires(const M memory, KernelShape shape) {
  memory.head(shape);
  typename M::Operator;
};

/// True if a memory kernel has an alpha to learn.
template <class M>
inline constexpr bool learns_alpha = requires { requires M::learns_alpha; };

namespace detail {

/// z = beta^2 q.k: keys and queries of length beta.
inline DotProduct of_length(double beta) { return DotProduct{beta * beta}; }

template <class Gradients>
double by_scale(double beta, const Gradients& grads) {
  return 2.0 * beta * static_cast<double>(grads.scale);
}

/// dL/dbeta for a bandwidth h = 1 / beta.
template <class Gradients>
double by_bandwidth(double beta, const Gradients& grads) {
  return -static_cast<double>(grads.bandwidth) / (beta * beta);
}

}  // namespace detail

/// Kernel x adaptive x dot, keys of length beta: softmax, sparsemax, 1.5-entmax and 4/3-entmax memories.
template <class K, class Mask = StrictlyCausal>
struct AdaptiveMemory {
  using Operator = NadarayaWatson<K, Adaptive, DotProduct, Mask>;  ///< The operator of a head.

  /// z = beta^2 q.k.
  Operator head(const KernelShape& shape) const { return Operator(K{}, Adaptive{}, detail::of_length(shape.beta)); }

  /// dL/dbeta = 2 beta dL/dscale.
  template <class G>
  KernelShape pullback(const KernelShape& shape, const G& grads) const {
    return KernelShape{detail::by_scale(shape.beta, grads), 0.0};
  }
};

/// The rectified polynomial of a real exponent x adaptive x dot: entmax with alpha learned per head.
template <class Mask = StrictlyCausal>
struct LearnedAlphaMemory {
  using Operator = NadarayaWatson<RectifiedPower, Adaptive, DotProduct, Mask>;  ///< The operator of a head.
  static constexpr bool learns_alpha = true;  ///< alpha is a parameter of each head

  /// z = beta^2 q.k, alpha-entmax.
  Operator head(const KernelShape& shape) const {
    return Operator(RectifiedPower::with_alpha(shape.alpha), Adaptive{}, detail::of_length(shape.beta));
  }

  /// dL/dbeta = 2 beta dL/dscale, and dL/dalpha.
  template <class G>
  KernelShape pullback(const KernelShape& shape, const G& grads) const {
    return KernelShape{detail::by_scale(shape.beta, grads), static_cast<double>(grads.alpha)};
  }
};

/// Kernel x nearest(k) x dot: top-k softmax (Gaussian) and top-k uniform, where no gradient reaches beta.
template <class K, class Mask = StrictlyCausal>
struct NearestMemory {
  using Operator = NadarayaWatson<K, NearestNeighbors, DotProduct, Mask>;  ///< The operator of a head.

  Index neighbors = 16;  ///< k

  /// z = beta^2 q.k among the nearest.
  Operator head(const KernelShape& shape) const {
    return Operator(K{}, NearestNeighbors{neighbors}, detail::of_length(shape.beta));
  }

  /// dL/dbeta = 2 beta dL/dscale.
  template <class G>
  KernelShape pullback(const KernelShape& shape, const G& grads) const {
    return KernelShape{detail::by_scale(shape.beta, grads), 0.0};
  }
};

/// Kernel x fixed bandwidth h = 1 / beta x distance on the unit sphere: normalized ReLU memory for
/// the Epanechnikov kernel. A query without a key nearer than h answers zero.
template <class K, class Mask = StrictlyCausal>
struct FixedMemory {
  using Operator = NadarayaWatson<K, FixedBandwidth, SquaredDistance, Mask>;  ///< The operator of a head.

  Operator head(const KernelShape& shape) const { return Operator(K{}, FixedBandwidth{1.0 / shape.beta}); }  ///< h = 1 / beta.

  /// dL/dbeta = -dL/dh / beta^2.
  template <class G>
  KernelShape pullback(const KernelShape& shape, const G& grads) const {
    return KernelShape{detail::by_bandwidth(shape.beta, grads), 0.0};
  }
};

/// Kernel x anchored with h = 1 / beta x dot: ReLUmax memory for the Epanechnikov kernel.
template <class K, class Mask = StrictlyCausal>
struct AnchoredMemory {
  using Operator = NadarayaWatson<K, Anchored, DotProduct, Mask>;  ///< The operator of a head.

  /// h = 1 / beta, z = q.k.
  Operator head(const KernelShape& shape) const { return Operator(K{}, Anchored{1.0 / shape.beta}, DotProduct{1.0}); }

  /// dL/dbeta = -dL/dh / beta^2.
  template <class G>
  KernelShape pullback(const KernelShape& shape, const G& grads) const {
    return KernelShape{detail::by_bandwidth(shape.beta, grads), 0.0};
  }
};

}  // namespace nadaraya::mosaic

#include "nadaraya/detail/end_precise.hpp"
