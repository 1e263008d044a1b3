// The operator of some options.
#pragma once

#include "operator_options.hpp"

#include <nadaraya/chosen_operator.hpp>
#include <nadaraya/kernel/gaussian.hpp>
#include <nadaraya/kernel/rectified_polynomial.hpp>
#include <nadaraya/kernel/rectified_power.hpp>
#include <nadaraya/kernel/uniform.hpp>
#include <nadaraya/mask/causal.hpp>
#include <nadaraya/normalization/adaptive.hpp>
#include <nadaraya/normalization/anchored.hpp>
#include <nadaraya/normalization/fixed_bandwidth.hpp>
#include <nadaraya/normalization/nearest_neighbors.hpp>
#include <nadaraya/normalization/unnormalized.hpp>
#include <nadaraya/similarity/cosine.hpp>
#include <nadaraya/similarity/dot_product.hpp>
#include <nadaraya/similarity/squared_distance.hpp>

namespace program {

template <class Scalar>
nadaraya::AnySimilarity<Scalar> similarity(const OperatorOptions& o) {
  using namespace nadaraya;
  if (o.similarity == "cosine") return AnySimilarity<Scalar>(Cosine{o.scale.value_or(1.0)});
  if (o.similarity == "euclidean") return AnySimilarity<Scalar>(SquaredDistance{o.scale.value_or(1.0)});
  return AnySimilarity<Scalar>(DotProduct{o.scale});
}

template <class Scalar>
nadaraya::AnyMask<Scalar> mask(const OperatorOptions& o) {
  using namespace nadaraya;
  if (o.mask == "causal") return AnyMask<Scalar>(Causal{});
  if (o.mask == "strictly-causal") return AnyMask<Scalar>(StrictlyCausal{});
  if (o.mask == "window") return AnyMask<Scalar>(SlidingWindow{*o.window});
  return AnyMask<Scalar>(NoMask{});
}

/// visit(kernel) with the kernel of the options.
template <class Visit>
auto with_kernel(const OperatorOptions& o, const Visit& visit) {
  using namespace nadaraya;
  if (o.kernel == "epanechnikov") return visit(Epanechnikov{});
  if (o.kernel == "biweight") return visit(Biweight{});
  if (o.kernel == "triweight") return visit(Triweight{});
  if (o.kernel == "gaussian") return visit(Gaussian{});
  if (o.kernel == "uniform") return visit(Uniform{});
  return visit(o.alpha ? RectifiedPower::with_alpha(*o.alpha) : RectifiedPower::with_exponent(*o.exponent));
}

template <class Scalar, class K>
nadaraya::AnyRule<Scalar> rule(const OperatorOptions& o, const K& kernel, const nadaraya::AnySimilarity<Scalar>& similarity) {
  using namespace nadaraya;
  using Rule = AnyRule<Scalar>;
  const bool metric = similarity.distance_factor > 0;
  if (o.normalization == "adaptive") {
    if constexpr (AdaptiveKernel<K>) {
      return Rule(kernel, Adaptive{}, similarity);
    } else {
      refuse(o.named("kernel") + " " + o.kernel + " has no " + o.named("normalization") +
             " adaptive: its profile jumps; use fixed, anchored or nearest");
    }
  }
  if (o.normalization == "anchored") return Rule(kernel, Anchored{*o.bandwidth}, similarity);
  if (o.normalization == "fixed" || o.normalization == "unnormalized") {
    if (!metric) {
      refuse(o.named("normalization") + " " + o.normalization + " compares distances and " + o.named("similarity") +
             " dot is none; use cosine or euclidean");
    }
    if (o.normalization == "fixed") return Rule(kernel, FixedBandwidth{*o.bandwidth}, similarity);
    return Rule(kernel, Unnormalized{*o.bandwidth, o.mass.value_or(1.0)}, similarity);
  }
  if (!metric && NearestNeighbors::borrows_bandwidth<K>) {
    refuse(o.named("normalization") + " nearest takes the bandwidth of " + o.named("kernel") + " " + o.kernel +
           " from distances and " + o.named("similarity") + " dot is none; use cosine or euclidean, or kernel gaussian or uniform");
  }
  return Rule(kernel, NearestNeighbors{*o.neighbors}, similarity);
}

template <class Scalar>
nadaraya::AnyRule<Scalar> rule(const OperatorOptions& o, const nadaraya::AnySimilarity<Scalar>& similarity) {
  return with_kernel(o, [&](const auto& kernel) { return rule<Scalar>(o, kernel, similarity); });
}

}  // namespace program
