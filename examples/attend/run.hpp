// One scalar with every kernel and the normalizations and similarities that go with it, chosen by name.
#pragma once

#include "problem.hpp"

#include <nadaraya/attention.hpp>
#include <nadaraya/kernel/gaussian.hpp>
#include <nadaraya/kernel/rectified_polynomial.hpp>
#include <nadaraya/kernel/rectified_power.hpp>
#include <nadaraya/kernel/uniform.hpp>
#include <nadaraya/mask/causal.hpp>
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

template <class Scalar>
nadaraya::HeadView<const Scalar> heads(const npy::Array& array) {
  const Shape s(array);
  return nadaraya::HeadView<const Scalar>::bhnd(array.data<Scalar>(), s.batch, s.heads, s.rows, s.cols);
}

template <class Scalar>
nadaraya::HeadView<Scalar> heads(npy::Array& array) {
  const Shape s(array);
  return nadaraya::HeadView<Scalar>::bhnd(array.data<Scalar>(), s.batch, s.heads, s.rows, s.cols);
}

template <class Scalar, class Attention>
Result run_attention(const Problem& in, const Options& o, const Attention& attention) {
  const nadaraya::Threads threads{o.threads};
  std::vector<std::size_t> shape = in.query.shape;
  shape.back() = in.value.shape.back();
  npy::Array out = npy::zeros<Scalar>(shape);
  const auto tape =
      attention.forward(heads<Scalar>(in.query), heads<Scalar>(in.key), heads<Scalar>(in.value), heads<Scalar>(out), threads);
  Result result;
  result.mean_support = tape.mean_support();
  result.empty_rows = tape.empty_rows();
  result.files.emplace_back("out", std::move(out));
  if (in.grad_output) {
    npy::Array grad_query = npy::zeros<Scalar>(in.query.shape);
    npy::Array grad_key = npy::zeros<Scalar>(in.key.shape);
    npy::Array grad_value = npy::zeros<Scalar>(in.value.shape);
    attention.backward(tape, heads<Scalar>(*in.grad_output), heads<Scalar>(grad_query), heads<Scalar>(grad_key),
                       heads<Scalar>(grad_value), threads);
    result.files.emplace_back("grad_query", std::move(grad_query));
    result.files.emplace_back("grad_key", std::move(grad_key));
    result.files.emplace_back("grad_value", std::move(grad_value));
  }
  return result;
}

template <class Scalar, class K, class N, class S>
Result run_operator(const Problem& in, const Options& o, const K& kernel, const N& normalization, const S& similarity) {
  return run_attention<Scalar>(
      in, o, nadaraya::Attention(kernel, normalization, similarity, RangeMask{o.mask, o.window.value_or(1)}));
}

template <class Scalar, class K, class S>
Result run_similarity(const Problem& in, const Options& o, const K& kernel, const S& similarity) {
  using namespace nadaraya;
  constexpr bool metric = MetricSimilarity<S>;
  if (o.normalization == "adaptive") {
    if constexpr (AdaptiveKernel<K>) {
      return run_operator<Scalar>(in, o, kernel, Adaptive{}, similarity);
    } else {
      refuse("--kernel " + o.kernel +
             " has no --normalization adaptive: its profile jumps; use fixed, anchored or nearest");
    }
  }
  if (o.normalization == "anchored") return run_operator<Scalar>(in, o, kernel, Anchored{*o.bandwidth}, similarity);
  if (o.normalization == "fixed") {
    if constexpr (metric) {
      return run_operator<Scalar>(in, o, kernel, FixedBandwidth{*o.bandwidth}, similarity);
    } else {
      refuse("--normalization fixed compares distances and --similarity dot is none; use cosine or euclidean");
    }
  }
  if constexpr (metric || !NearestNeighbors::borrows_bandwidth<K>) {
    return run_operator<Scalar>(in, o, kernel, NearestNeighbors{*o.neighbors}, similarity);
  } else {
    refuse("--normalization nearest takes the bandwidth of --kernel " + o.kernel +
           " from distances and --similarity dot is none; use cosine or euclidean, or kernel gaussian or uniform");
  }
}

template <class Scalar, class K>
Result run_kernel(const Problem& in, const Options& o, const K& kernel) {
  using namespace nadaraya;
  if (o.similarity == "cosine") return run_similarity<Scalar>(in, o, kernel, Cosine{o.scale.value_or(1.0)});
  if (o.similarity == "euclidean") return run_similarity<Scalar>(in, o, kernel, SquaredDistance{o.scale.value_or(1.0)});
  return run_similarity<Scalar>(in, o, kernel, DotProduct{o.scale});
}

template <class Scalar>
Result run(const Problem& in, const Options& o) {
  using namespace nadaraya;
  if (o.kernel == "epanechnikov") return run_kernel<Scalar>(in, o, Epanechnikov{});
  if (o.kernel == "biweight") return run_kernel<Scalar>(in, o, Biweight{});
  if (o.kernel == "triweight") return run_kernel<Scalar>(in, o, Triweight{});
  if (o.kernel == "gaussian") return run_kernel<Scalar>(in, o, Gaussian{});
  if (o.kernel == "uniform") return run_kernel<Scalar>(in, o, Uniform{});
  return run_kernel<Scalar>(in, o, o.alpha ? RectifiedPower::with_alpha(*o.alpha) : RectifiedPower::with_exponent(*o.exponent));
}

}  // namespace program
