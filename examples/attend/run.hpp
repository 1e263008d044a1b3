// One scalar: the policies by name, and the calls.
#pragma once

#include "problem.hpp"

#include <nadaraya/any_attention.hpp>
#include <nadaraya/chosen_operator.hpp>
#include <nadaraya/engine/executor.hpp>
#include <nadaraya/kernel/gaussian.hpp>
#include <nadaraya/kernel/rectified_polynomial.hpp>
#include <nadaraya/kernel/rectified_power.hpp>
#include <nadaraya/kernel/uniform.hpp>
#include <nadaraya/mask/causal.hpp>
#include <nadaraya/normalization/adaptive.hpp>
#include <nadaraya/normalization/anchored.hpp>
#include <nadaraya/normalization/fixed_bandwidth.hpp>
#include <nadaraya/normalization/nearest_neighbors.hpp>
#include <nadaraya/similarity/cosine.hpp>
#include <nadaraya/similarity/dot_product.hpp>
#include <nadaraya/similarity/squared_distance.hpp>

namespace program {

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

template <class Scalar>
Result run_operator(const Problem& in, const Options& o, const nadaraya::AnyOperator<Scalar>& op) {
  const nadaraya::AnyAttention<Scalar> attention({&op});
  const nadaraya::Threads threads{o.threads};
  std::vector<std::size_t> shape = in.query.shape;
  shape.back() = in.value.shape.back();
  npy::Array out = npy::zeros<Scalar>(shape);
  const auto one_sequence = nadaraya::Packed::one(Shape(in.query).rows, Shape(in.key).rows);
  const auto tape = attention.forward(heads<Scalar>(in.query), heads<Scalar>(in.key), heads<Scalar>(in.value),
                                      heads<Scalar>(out), one_sequence, threads);
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

template <class Scalar>
nadaraya::AnySimilarity<Scalar> similarity(const Options& o) {
  using namespace nadaraya;
  if (o.similarity == "cosine") return AnySimilarity<Scalar>(Cosine{o.scale.value_or(1.0)});
  if (o.similarity == "euclidean") return AnySimilarity<Scalar>(SquaredDistance{o.scale.value_or(1.0)});
  return AnySimilarity<Scalar>(DotProduct{o.scale});
}

template <class Scalar>
nadaraya::AnyMask<Scalar> mask(const Options& o) {
  using namespace nadaraya;
  if (o.mask == "causal") return AnyMask<Scalar>(Causal{});
  if (o.mask == "strictly-causal") return AnyMask<Scalar>(StrictlyCausal{});
  if (o.mask == "window") return AnyMask<Scalar>(SlidingWindow{*o.window});
  return AnyMask<Scalar>(NoMask{});
}

template <class Scalar, class K>
nadaraya::AnyRule<Scalar> rule(const Options& o, const K& kernel, const nadaraya::AnySimilarity<Scalar>& similarity) {
  using namespace nadaraya;
  using Rule = AnyRule<Scalar>;
  const bool metric = similarity.distance_factor > 0;
  if (o.normalization == "adaptive") {
    if constexpr (AdaptiveKernel<K>) {
      return Rule(kernel, Adaptive{}, similarity);
    } else {
      refuse("--kernel " + o.kernel +
             " has no --normalization adaptive: its profile jumps; use fixed, anchored or nearest");
    }
  }
  if (o.normalization == "anchored") return Rule(kernel, Anchored{*o.bandwidth}, similarity);
  if (o.normalization == "fixed") {
    if (!metric) refuse("--normalization fixed compares distances and --similarity dot is none; use cosine or euclidean");
    return Rule(kernel, FixedBandwidth{*o.bandwidth}, similarity);
  }
  if (!metric && NearestNeighbors::borrows_bandwidth<K>) {
    refuse("--normalization nearest takes the bandwidth of --kernel " + o.kernel +
           " from distances and --similarity dot is none; use cosine or euclidean, or kernel gaussian or uniform");
  }
  return Rule(kernel, NearestNeighbors{*o.neighbors}, similarity);
}

template <class Scalar>
nadaraya::AnyRule<Scalar> rule(const Options& o, const nadaraya::AnySimilarity<Scalar>& similarity) {
  using namespace nadaraya;
  if (o.kernel == "epanechnikov") return rule<Scalar>(o, Epanechnikov{}, similarity);
  if (o.kernel == "biweight") return rule<Scalar>(o, Biweight{}, similarity);
  if (o.kernel == "triweight") return rule<Scalar>(o, Triweight{}, similarity);
  if (o.kernel == "gaussian") return rule<Scalar>(o, Gaussian{}, similarity);
  if (o.kernel == "uniform") return rule<Scalar>(o, Uniform{}, similarity);
  return rule<Scalar>(o, o.alpha ? RectifiedPower::with_alpha(*o.alpha) : RectifiedPower::with_exponent(*o.exponent), similarity);
}

template <class Scalar>
Result run(const Problem& in, const Options& o) {
  const auto by = similarity<Scalar>(o);
  return run_operator<Scalar>(in, o, nadaraya::ChosenOperator<Scalar>(rule<Scalar>(o, by), by, mask<Scalar>(o)));
}

}  // namespace program
