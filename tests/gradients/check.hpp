// Forward and backward of one combination of policies against the oracle, under every mask.
#pragma once

#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"

#include <string>

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

template <class Op, class X>
long double loss(const Op& op, const X& q, const X& k, const X& v, const RowMatrix<double>& g) {
  return reference::attend<long double>(op, q, k, v).cwiseProduct(g.cast<long double>()).sum();
}

/// Do two problems leave the same pairs weightless?
template <class Low, class High>
bool same_support(const Low& low, const High& high) {
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

/// All entries of one operand.
template <class Op, class Vary>
void compare_operand(const Op& op, const RowMatrix<double>& gradient, const Vary& problem, Index rows, Index cols,
                     Tally& tally, const std::string& name) {
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      const auto [low, low_support] = problem(op, i, j, -step);
      const auto [high, high_support] = problem(op, i, j, step);
      const std::string what = name + "(" + std::to_string(i) + ", " + std::to_string(j) + ")";
      compare(gradient(i, j), (high - low) / (2 * static_cast<long double>(step)), same_support(low_support, high_support),
              tally, what);
    }
  }
}

/// One parameter: `with(x)` is the operator with the parameter at x.
template <class With, class Problem>
void compare_parameter(double gradient, double x, const With& with, const Problem& problem, Tally& tally,
                       const std::string& name) {
  const double low_x = x - step;
  const double high_x = x + step;
  const auto [low, low_support] = problem(with(low_x));
  const auto [high, high_support] = problem(with(high_x));
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
  const auto solved = [&](const auto& varied, const RowMatrix<double>& dq, const RowMatrix<double>& dk,
                          const RowMatrix<double>& dv) {
    using Wide = RowMatrix<long double>;
    const Wide wq = q.cast<long double>() + dq.cast<long double>();
    const Wide wk = k.cast<long double>() + dk.cast<long double>();
    const Wide wv = v.cast<long double>() + dv.cast<long double>();
    return std::pair<long double, Wide>(loss(varied, wq, wk, wv, g), reference::weights<long double>(varied, wq, wk));
  };
  const RowMatrix<double> q0 = RowMatrix<double>::Zero(5, 3);
  const RowMatrix<double> k0 = RowMatrix<double>::Zero(7, 3);
  const RowMatrix<double> v0 = RowMatrix<double>::Zero(7, 2);
  const auto bump = [](RowMatrix<double> zero, Index i, Index j, double h) {
    zero(i, j) = h;
    return zero;
  };
  compare_operand(op, grads.query, [&](const auto& o, Index i, Index j, double h) { return solved(o, bump(q0, i, j, h), k0, v0); },
                  5, 3, tally, "query");
  compare_operand(op, grads.key, [&](const auto& o, Index i, Index j, double h) { return solved(o, q0, bump(k0, i, j, h), v0); },
                  7, 3, tally, "key");
  compare_operand(op, grads.value, [&](const auto& o, Index i, Index j, double h) { return solved(o, q0, k0, bump(v0, i, j, h)); },
                  7, 2, tally, "value");

  const auto at_inputs = [&](const auto& varied) { return solved(varied, q0, k0, v0); };
  if constexpr (HasBandwidth<N>) {
    const auto with = [&](double h) {
      N varied = normalization;
      varied.bandwidth = h;
      return NadarayaWatson(kernel, varied, similarity, mask);
    };
    compare_parameter(grads.bandwidth, normalization.bandwidth, with, at_inputs, tally, "bandwidth");
  }
  if constexpr (ScaledSimilarity<S>) {
    S varied = similarity;
    if constexpr (std::is_same_v<S, DotProduct>) varied.scale = varied.scale.value_or(1.0 / std::sqrt(3.0));
    const auto with = [&](double s) {
      S scaled = varied;
      scaled.scale = s;
      return NadarayaWatson(kernel, normalization, scaled, mask);
    };
    double scale = 0;
    if constexpr (requires { *varied.scale; }) {
      scale = *varied.scale;
    } else {
      scale = varied.scale;
    }
    compare_parameter(grads.scale, scale, with, at_inputs, tally, "scale");
  }
  if constexpr (AlphaKernel<K>) {
    const auto with = [&](double alpha) {
      return NadarayaWatson(K::from_alpha(alpha), normalization, similarity, mask);
    };
    compare_parameter(grads.alpha, kernel.alpha(), with, at_inputs, tally, "alpha");
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
    check_masks("power 2.5", RectifiedPower{2.5}, normalization, similarity);
    check_masks("power 0.6", RectifiedPower{0.6}, normalization, similarity);
    check_masks("power 40", RectifiedPower{40.0}, normalization, similarity);
    check_masks("custom", Custom{}, normalization, similarity);
  }
}

}  // namespace nadaraya::test
