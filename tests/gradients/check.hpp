// Forward and backward of one combination of policies against the oracle, under every mask.
#pragma once

#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"

#include <Eigen/SparseCore>

#include <functional>
#include <string>
#include <utility>

namespace nadaraya::test {

/// How many derivatives were compared, and how many were left out because the step changed the
/// support, where a derivative from both sides need not exist.
struct Tally {
  int compared = 0;
  int left_out = 0;
};

/// Central differences of the loss sum(out * G), in long double through the oracle. A step h of
/// 1e-7 is off by h^2 / 6 times the third derivative, 2e-15 of it (which reaches 1e6 near the edge
/// of a steep profile), and rounding, 1e-19 / h, is below 1e-11.
constexpr double step = 1e-7;

using Wide = RowMatrix<long double>;

template <class Op, class X>
long double loss(const Op& op, const X& q, const X& k, const X& v, const RowMatrix<double>& g) {
  return reference::attend<long double>(op, q, k, v).cwiseProduct(g.cast<long double>()).sum();
}

/// Do two problems leave the same pairs weightless?
inline bool same_support(const Wide& low, const Wide& high) {
  return ((low.array() > 0) == (high.array() > 0)).all();
}

/// Compares one derivative, given the operator and operands on both sides of it.
inline void compare(double actual, long double numeric, bool smooth, Tally& tally, const std::string& what) {
  if (!smooth) {
    ++tally.left_out;
    return;
  }
  ++tally.compared;
  const long double error = std::abs(static_cast<long double>(actual) - numeric);
  if (!(error <= 1e-8L + 1e-6L * std::abs(numeric))) {
    FAIL_CHECK(what << ": " << actual << " instead of " << static_cast<double>(numeric));
  }
}

/// The loss and the weights of a problem, by how far its query, key and value have been moved.
using Moved = std::function<std::pair<long double, Wide>(const Wide&, const Wide&, const Wide&)>;

/// All entries of the gradients of query, key and value.
inline void compare_operands(const RowMatrix<double>& query, const RowMatrix<double>& key, const RowMatrix<double>& value,
                             const Moved& moved, Tally& tally) {
  const RowMatrix<double>* gradients[] = {&query, &key, &value};
  const char* names[] = {"query", "key", "value"};
  Wide by[] = {Wide::Zero(query.rows(), query.cols()), Wide::Zero(key.rows(), key.cols()), Wide::Zero(value.rows(), value.cols())};
  for (int operand = 0; operand < 3; ++operand) {
    for (Index i = 0; i < by[operand].rows(); ++i) {
      for (Index j = 0; j < by[operand].cols(); ++j) {
        by[operand](i, j) = -step;
        const auto [low, low_support] = moved(by[0], by[1], by[2]);
        by[operand](i, j) = step;
        const auto [high, high_support] = moved(by[0], by[1], by[2]);
        by[operand](i, j) = 0;
        const std::string what = std::string(names[operand]) + "(" + std::to_string(i) + ", " + std::to_string(j) + ")";
        compare((*gradients[operand])(i, j), (high - low) / (2 * static_cast<long double>(step)),
                same_support(low_support, high_support), tally, what);
      }
    }
  }
}

/// One parameter, given the loss and the weights by its value.
inline void compare_parameter(double gradient, double x, const std::function<std::pair<long double, Wide>(double)>& at,
                              Tally& tally, const std::string& name) {
  const double low_x = x - step;
  const double high_x = x + step;
  const auto [low, low_support] = at(low_x);
  const auto [high, high_support] = at(high_x);
  const long double width = static_cast<long double>(high_x) - static_cast<long double>(low_x);
  compare(gradient, (high - low) / width, same_support(low_support, high_support), tally, name);
}

template <class K, class N, class S, class M>
void check(const K& kernel, const N& normalization, const S& similarity, const M& mask, Tally& tally) {
  INFO("mask " << mask.name);
  const NadarayaWatson op(kernel, normalization, similarity, mask);
  Random random(7);
  const RowMatrix<double> q = random.normal<double>(5, 3);
  const RowMatrix<double> k = random.normal<double>(7, 3);
  const RowMatrix<double> v = random.normal<double>(7, 2);
  const RowMatrix<double> g = random.normal<double>(5, 2);

  RowMatrix<double> out;
  const auto tape = op.forward(q, k, v, out);
  REQUIRE(difference(out, reference::attend<long double>(op, q, k, v), 1e-10L) == "");
  REQUIRE(difference(op(q, k, v), out, 0) == "");
  const RowMatrix<double> weights = op.weights(q, k);
  REQUIRE(difference(weights, reference::weights<long double>(op, q, k), 1e-10L) == "");
  Index empty = 0;
  for (Index i = 0; i < 5; ++i) {
    const auto supported = (weights.row(i).array() > 0).count();
    REQUIRE(tape.support_size(i) == supported);
    empty += supported == 0 ? 1 : 0;
  }
  REQUIRE(tape.empty_rows() == empty);

  const auto grads = op.backward(tape, g);
  const Wide wq = q.cast<long double>(), wk = k.cast<long double>(), wv = v.cast<long double>();
  const auto solved = [&](const auto& varied, const Wide& at_q, const Wide& at_k, const Wide& at_v) {
    return std::pair<long double, Wide>(loss(varied, at_q, at_k, at_v, g), reference::weights<long double>(varied, at_q, at_k));
  };
  const auto moved = [&](const Wide& by_q, const Wide& by_k, const Wide& by_v) {
    return solved(op, wq + by_q, wk + by_k, wv + by_v);
  };
  compare_operands(grads.query, grads.key, grads.value, moved, tally);

  const auto at_inputs = [&](const auto& varied) { return solved(varied, wq, wk, wv); };
  if constexpr (HasBandwidth<N>) {
    const auto with = [&](double h) {
      N varied = normalization;
      varied.bandwidth = h;
      return at_inputs(NadarayaWatson(kernel, varied, similarity, mask));
    };
    compare_parameter(grads.bandwidth, normalization.bandwidth, with, tally, "bandwidth");
  }
  if constexpr (ScaledSimilarity<S>) {
    S varied = similarity;
    if constexpr (std::is_same_v<S, DotProduct>) varied.scale = varied.scale.value_or(1.0 / std::sqrt(3.0));
    const auto with = [&](double s) {
      S scaled = varied;
      scaled.scale = s;
      return at_inputs(NadarayaWatson(kernel, normalization, scaled, mask));
    };
    double scale = 0;
    if constexpr (requires { *varied.scale; }) {
      scale = *varied.scale;
    } else {
      scale = varied.scale;
    }
    compare_parameter(grads.scale, scale, with, tally, "scale");
  }
  if constexpr (AlphaKernel<K>) {
    const auto with = [&](double alpha) {
      return at_inputs(NadarayaWatson(K::with_alpha(alpha), normalization, similarity, mask));
    };
    compare_parameter(grads.alpha, kernel.alpha(), with, tally, "alpha");
  }
}

/// The same under every mask, those with a bias where they have a meaning.
template <class K, class N, class S>
void check_masks(const std::string& name, const K& kernel, const N& normalization, const S& similarity) {
  INFO(name);
  Tally tally;
  for (const AnyMask& mask : masks()) check(kernel, normalization, similarity, mask, tally);
  constexpr bool distances = std::is_same_v<N, FixedBandwidth> || std::is_same_v<N, Unnormalized> ||
                             (std::is_same_v<N, NearestNeighbors> && NearestNeighbors::borrows_bandwidth<K>);
  if constexpr (!distances) {
    for (const AnyBias& mask : biases()) check(kernel, normalization, similarity, mask, tally);
  }
  INFO(tally.left_out << " derivatives at an edge of the support left out, " << tally.compared << " compared");
  REQUIRE(tally.compared > 0);
  REQUIRE(tally.left_out * 20 < tally.compared);
}

/// ... for every kernel that the normalization takes.
template <class N, class S>
void check_kernels(const N& normalization, const S& similarity) {
  constexpr bool metric = MetricSimilarity<S>;
  constexpr bool nearest = std::is_same_v<N, NearestNeighbors>;
  check_masks("gaussian", Gaussian{}, normalization, similarity);
  if constexpr (!std::is_same_v<N, Adaptive>) check_masks("uniform", Uniform{}, normalization, similarity);
  if constexpr (!nearest || metric) {
    check_masks("epanechnikov", Epanechnikov{}, normalization, similarity);
    check_masks("biweight", Biweight{}, normalization, similarity);
    check_masks("triweight", Triweight{}, normalization, similarity);
    check_masks("quadweight", RectifiedPolynomial<4>{}, normalization, similarity);
    check_masks("power 2.5", RectifiedPower::with_exponent(2.5), normalization, similarity);
    check_masks("power 0.6", RectifiedPower::with_exponent(0.6), normalization, similarity);
    check_masks("power 40", RectifiedPower::with_exponent(40.0), normalization, similarity);
    check_masks("custom", Custom{}, normalization, similarity);
  }
}

}  // namespace nadaraya::test
