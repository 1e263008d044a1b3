// One kernel with every normalization and similarity it goes with, chosen by name.
#pragma once

#include "heads.hpp"

#include <nadaraya/mask/causal.hpp>
#include <nadaraya/nadaraya_watson.hpp>
#include <nadaraya/normalization/anchored.hpp>
#include <nadaraya/normalization/fixed_bandwidth.hpp>
#include <nadaraya/normalization/nearest_neighbors.hpp>
#include <nadaraya/similarity/cosine.hpp>
#include <nadaraya/similarity/squared_distance.hpp>

namespace program {

/// The mask named on the command line. All of them are ranges of keys, so one type does, and no
/// operator is compiled once for each.
struct RangeMask {
  std::string name;
  Index window = 1;

  nadaraya::KeyRange range(Index query, const nadaraya::Extent& n) const {
    if (name == "causal") return nadaraya::Causal{}.range(query, n);
    if (name == "strictly-causal") return nadaraya::StrictlyCausal{}.range(query, n);
    if (name == "window") return nadaraya::SlidingWindow{window}.range(query, n);
    return nadaraya::NoMask{}.range(query, n);
  }
};

template <class Scalar, class Op>
Result run_operator(const Problem& in, const Options& o, const Op& op) {
  return for_each_head<Scalar>(in, o.threads, [&](Head<Scalar>& head) {
    const auto tape = op.forward(head.query, head.key, head.value, head.out);
    if (head.backward) {
      const auto grads = op.backward(tape, head.grad_output);
      head.grad_query = grads.query;
      head.grad_key = grads.key;
      head.grad_value = grads.value;
    }
    return HeadSummary{tape.mean_support(), tape.empty_rows()};
  });
}

template <class K, class N, class S>
Result run_operator(const Problem& in, const Options& o, const K& kernel, const N& normalization, const S& similarity) {
  const nadaraya::NadarayaWatson op(kernel, normalization, similarity, RangeMask{o.mask, o.window.value_or(1)});
  return in.query.is_float32() ? run_operator<float>(in, o, op) : run_operator<double>(in, o, op);
}

template <class K, class S>
Result run_similarity(const Problem& in, const Options& o, const K& kernel, const S& similarity) {
  using namespace nadaraya;
  constexpr bool metric = MetricSimilarity<S>;
  if (o.normalization == "adaptive") {
    if constexpr (AdaptiveKernel<K>) {
      return run_operator(in, o, kernel, Adaptive{}, similarity);
    } else {
      refuse("--kernel " + o.kernel +
             " has no --normalization adaptive: its profile jumps; use fixed, anchored or nearest");
    }
  }
  if (o.normalization == "anchored") return run_operator(in, o, kernel, Anchored{*o.bandwidth}, similarity);
  if (o.normalization == "fixed") {
    if constexpr (metric) {
      return run_operator(in, o, kernel, FixedBandwidth{*o.bandwidth}, similarity);
    } else {
      refuse("--normalization fixed compares distances and --similarity dot is none; use cosine or euclidean");
    }
  }
  if constexpr (metric || !NearestNeighbors::borrows_bandwidth<K>) {
    return run_operator(in, o, kernel, NearestNeighbors{*o.neighbors}, similarity);
  } else {
    refuse("--normalization nearest takes the bandwidth of --kernel " + o.kernel +
           " from distances and --similarity dot is none; use cosine or euclidean, or kernel gaussian or uniform");
  }
}

template <class K>
Result run_kernel(const Problem& in, const Options& o, const K& kernel) {
  using namespace nadaraya;
  if (o.similarity == "cosine") return run_similarity(in, o, kernel, Cosine{o.scale.value_or(1.0)});
  if (o.similarity == "euclidean") return run_similarity(in, o, kernel, SquaredDistance{o.scale.value_or(1.0)});
  return run_similarity(in, o, kernel, DotProduct{o.scale});
}

}  // namespace program
