// Forward and backward of one combination of policies against the oracle, under every mask.
#pragma once

#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <Eigen/SparseCore>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

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

/// All entries of the gradients of query, key and value; under sanitizers one of each, as only the oracle runs here.
inline void compare_operands(const RowMatrix<double>& query, const RowMatrix<double>& key, const RowMatrix<double>& value,
                             const Moved& moved, Tally& tally) {
  const RowMatrix<double>* gradients[] = {&query, &key, &value};
  const char* names[] = {"query", "key", "value"};
  Wide by[] = {Wide::Zero(query.rows(), query.cols()), Wide::Zero(key.rows(), key.cols()), Wide::Zero(value.rows(), value.cols())};
  for (int operand = 0; operand < 3; ++operand) {
    const Index rows = sanitized ? 1 : by[operand].rows(), cols = sanitized ? 1 : by[operand].cols();
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
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

/// What every combination is run on: five queries, seven keys.
struct Operands {
  RowMatrix<double> q, k, v, g;

  Operands() {
    Random random(7);
    q = random.normal<double>(5, 3);
    k = random.normal<double>(7, 3);
    v = random.normal<double>(7, 2);
    g = random.normal<double>(5, 2);
  }
};

/// What the operator made of them, but for the gradients by parameters.
struct Found {
  RowMatrix<double> out, out_alone, weights;
  std::vector<Index> support_sizes;
  Index empty_rows = 0;
  RowMatrix<double> by_query, by_key, by_value;
};

/// Fills what was found, and gives the gradients.
template <class Op>
auto run(const Op& op, const Operands& in, Found& found) {
  const auto tape = op.forward(in.q, in.k, in.v, found.out);
  found.out_alone = op(in.q, in.k, in.v);
  found.weights = op.weights(in.q, in.k);
  for (Index i = 0; i < in.q.rows(); ++i) found.support_sizes.push_back(tape.support_size(i));
  found.empty_rows = tape.empty_rows();
  auto gradients = op.backward(tape, in.g);
  found.by_query = gradients.query;
  found.by_key = gradients.key;
  found.by_value = gradients.value;
  return gradients;
}

/// A parameter's gradient, and the oracle's weights of the operands by its value.
struct Parameter {
  std::string name;
  double gradient, value;
  std::function<Wide(double)> weights;
};

/// Against the oracle, whose weights are given by query and key.
inline void compare(const Operands& in, const Found& found, const std::function<Wide(const Wide&, const Wide&)>& weights,
                    const std::vector<Parameter>& parameters, Tally& tally) {
  const Wide q = in.q.cast<long double>(), k = in.k.cast<long double>(), v = in.v.cast<long double>();
  const Wide expected = weights(q, k);
  REQUIRE(difference(found.out, Wide(expected * v), 1e-10L) == "");
  REQUIRE(difference(found.out_alone, found.out, 0) == "");
  REQUIRE(difference(found.weights, expected, 1e-10L) == "");
  Index empty = 0;
  for (Index i = 0; i < 5; ++i) {
    const auto supported = (found.weights.row(i).array() > 0).count();
    REQUIRE(found.support_sizes[static_cast<std::size_t>(i)] == supported);
    empty += supported == 0 ? 1 : 0;
  }
  REQUIRE(found.empty_rows == empty);

  const auto solved = [&](Wide p, const Wide& value) {
    const long double loss = (p * value).cwiseProduct(in.g.cast<long double>()).sum();
    return std::pair<long double, Wide>(loss, std::move(p));
  };
  const auto moved = [&](const Wide& by_q, const Wide& by_k, const Wide& by_v) { return solved(weights(q + by_q, k + by_k), v + by_v); };
  compare_operands(found.by_query, found.by_key, found.by_value, moved, tally);
  for (const Parameter& parameter : parameters) {
    compare_parameter(parameter.gradient, parameter.value, [&](double x) { return solved(parameter.weights(x), v); }, tally,
                      parameter.name);
  }
}

/// The mask of the oracle may be another type than the operator's, so that the oracle is compiled for fewer.
template <class K, class N, class S, class M, class OracleMask>
void check(const K& kernel, const N& normalization, const S& similarity, const M& mask, const OracleMask& oracle_mask, Tally& tally) {
  INFO("mask " << mask.name);
  static const Operands in;
  Found found;
  const auto gradients = run(NadarayaWatson(kernel, normalization, similarity, mask), in, found);
  const auto oracle = [&](const K& of, const N& by, const S& compared, const Wide& q, const Wide& k) {
    return reference::weights<long double>(NadarayaWatson(of, by, compared, oracle_mask), q, k);
  };
  const Wide q = in.q.cast<long double>(), k = in.k.cast<long double>();
  std::vector<Parameter> parameters;
  if constexpr (HasBandwidth<N>) {
    parameters.push_back({"bandwidth", gradients.bandwidth, normalization.bandwidth, [&](double h) {
                            N varied = normalization;
                            varied.bandwidth = h;
                            return oracle(kernel, varied, similarity, q, k);
                          }});
  }
  if constexpr (ScaledSimilarity<S>) {
    double scale = 0;
    if constexpr (requires { *similarity.scale; }) {
      scale = similarity.scale.value_or(1.0 / std::sqrt(3.0));
    } else {
      scale = similarity.scale;
    }
    parameters.push_back({"scale", gradients.scale, scale, [&](double s) {
                            S varied = similarity;
                            varied.scale = s;
                            return oracle(kernel, normalization, varied, q, k);
                          }});
  }
  if constexpr (requires { similarity.bandwidths(); }) {
    for (Index d = 0; d < similarity.bandwidths().size(); ++d) {
      parameters.push_back({"bandwidth of column " + std::to_string(d), gradients.similarity(d), similarity.bandwidths()(d),
                            [&, d](double h) {
                              Eigen::RowVectorXd varied = similarity.bandwidths();
                              varied(d) = h;
                              return oracle(kernel, normalization, S(varied), q, k);
                            }});
    }
  }
  if constexpr (AlphaKernel<K>) {
    parameters.push_back({"alpha", gradients.alpha, kernel.alpha(), [&](double alpha) {
                            return oracle(K::with_alpha(alpha), normalization, similarity, q, k);
                          }});
  }
  const auto weights = [&](const Wide& at_q, const Wide& at_k) { return oracle(kernel, normalization, similarity, at_q, at_k); };
  compare(in, found, weights, parameters, tally);
}

/// The same under every mask, those with a bias where they have a meaning.
template <class K, class N, class S>
void check_masks(const std::string& name, const K& kernel, const N& normalization, const S& similarity) {
  INFO(name);
  Tally tally;
  constexpr bool distances = std::is_same_v<N, FixedBandwidth> || std::is_same_v<N, Unnormalized> ||
                             (std::is_same_v<N, NearestNeighbors> && NearestNeighbors::borrows_bandwidth<K>);
  if constexpr (distances) {
    for (const AnyMask& mask : masks()) check(kernel, normalization, similarity, mask, mask, tally);
  } else {
    // How a mask is asked does not depend on the kernel: for one kernel, as masks without bias too.
    const auto none = [](Index, Index, const Extent&) { return 0.0; };
    for (const AnyMask& mask : masks()) {
      const AnyBias biased{mask, none};
      check(kernel, normalization, similarity, biased, biased, tally);
      if constexpr (std::is_same_v<K, Biweight>) check(kernel, normalization, similarity, mask, biased, tally);
    }
    for (const AnyBias& mask : biases()) check(kernel, normalization, similarity, mask, mask, tally);
  }
  INFO(tally.left_out << " derivatives at an edge of the support left out, " << tally.compared << " compared");
  REQUIRE(tally.compared > 0);
  REQUIRE((sanitized || tally.left_out * 20 < tally.compared));
}

/// ... for every kernel that the normalization takes; under sanitizers without the degrees 3 and 4, which take
/// the same steps as any power.
template <class N, class S>
void check_kernels(const N& normalization, const S& similarity) {
  constexpr bool metric = MetricSimilarity<S>;
  constexpr bool nearest = std::is_same_v<N, NearestNeighbors>;
  check_masks("gaussian", Gaussian{}, normalization, similarity);
  if constexpr (!std::is_same_v<N, Adaptive>) check_masks("uniform", Uniform{}, normalization, similarity);
  if constexpr (!nearest || metric) {
    check_masks("epanechnikov", Epanechnikov{}, normalization, similarity);
    check_masks("biweight", Biweight{}, normalization, similarity);
    if constexpr (!sanitized) {
      check_masks("triweight", Triweight{}, normalization, similarity);
      check_masks("quadweight", RectifiedPolynomial<4>{}, normalization, similarity);
    }
    check_masks("power 2.5", RectifiedPower::with_exponent(2.5), normalization, similarity);
    check_masks("power 0.6", RectifiedPower::with_exponent(0.6), normalization, similarity);
    check_masks("power 40", RectifiedPower::with_exponent(40.0), normalization, similarity);
    check_masks("custom", Custom{}, normalization, similarity);
  }
}

}  // namespace nadaraya::test
