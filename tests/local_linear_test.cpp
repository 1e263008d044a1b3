// Local linear and local polynomial attention: the oracle is dense weighted least squares, the gradients are compared with
// finite differences.
#include <nadaraya/reference.hpp>

#include "gradients/check.hpp"
#include "support/catch.hpp"
#include "support/close.hpp"
#include "support/executors.hpp"
#include "support/random.hpp"

#include <Eigen/SparseCore>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace nadaraya;
using catch_shim::contains;
using test::difference;
using test::Wide;

namespace {

constexpr double ridge = 0.05;

/// The operator on some rows, its gradients against finite differences.
template <class Op>
void check(const std::string& name, const Op& op, Index dimension = 3) {
  INFO(name);
  test::Random random(7);
  const auto q = random.normal<double>(5, dimension), k = random.normal<double>(9, dimension), v = random.normal<double>(9, 2),
             g = random.normal<double>(5, 2);
  RowMatrix<double> out;
  const auto tape = op.forward(q, k, v, out);
  REQUIRE(difference(out, reference::attend<long double>(op, q, k, v), 1e-10L, 1e-10L) == "");
  REQUIRE(difference(op(q, k, v), out, 0) == "");
  REQUIRE(difference(RowMatrix<double>(op.weights(q, k)), reference::weights<long double>(op, q, k), 1e-10L, 1e-10L) == "");
  const auto plain = op.with(LocalConstant{});
  for (Index i = 0; i < q.rows(); ++i) REQUIRE(tape.support_size(i) == plain.forward(q, k, v, out).support_size(i));

  const auto grads = op.backward(tape, g);
  test::Tally tally;
  const Wide wq = q.cast<long double>(), wk = k.cast<long double>(), wv = v.cast<long double>();
  const auto solved = [&](const auto& varied, const Wide& at_q, const Wide& at_k, const Wide& at_v) {
    return std::pair<long double, Wide>(test::loss(varied, at_q, at_k, at_v, g),
                                        reference::weights<long double>(varied.with(LocalConstant{}), at_q, at_k));
  };
  test::compare_operands(grads.query, grads.key, grads.value,
                         [&](const Wide& by_q, const Wide& by_k, const Wide& by_v) { return solved(op, wq + by_q, wk + by_k, wv + by_v); },
                         tally);
  const auto at_ridge = [&](double value) {
    auto mix = op.mix();
    mix.ridge = value;
    return solved(op.with(mix), wq, wk, wv);
  };
  test::compare_parameter(grads.ridge, op.mix().ridge, at_ridge, tally, "ridge");
  if constexpr (requires { grads.bandwidth; }) {
    const auto at_bandwidth = [&](double value) {
      auto normalization = op.normalization();
      normalization.bandwidth = value;
      return solved(NadarayaWatson(op.kernel(), normalization, op.similarity(), op.mask(), op.mix()), wq, wk, wv);
    };
    test::compare_parameter(grads.bandwidth, op.normalization().bandwidth, at_bandwidth, tally, "bandwidth");
  }
  if constexpr (requires { grads.alpha; }) {
    const auto at_alpha = [&](double value) {
      return solved(NadarayaWatson(RectifiedPower::with_alpha(value), op.normalization(), op.similarity(), op.mask(), op.mix()),
                    wq, wk, wv);
    };
    test::compare_parameter(grads.alpha, op.kernel().alpha(), at_alpha, tally, "alpha");
  }
  if constexpr (requires { op.similarity().scale + 1.0; }) {
    const auto at_scale = [&](double value) {
      auto similarity = op.similarity();
      similarity.scale = value;
      return solved(NadarayaWatson(op.kernel(), op.normalization(), similarity, op.mask(), op.mix()), wq, wk, wv);
    };
    test::compare_parameter(grads.scale, op.similarity().scale, at_scale, tally, "scale");
  }
  REQUIRE(tally.left_out * 20 < tally.compared);
}

}  // namespace

TEST_CASE("local linear attention against least squares and finite differences", "[local_linear]") {
  const LocalLinear mix{ridge};
  const DotProduct dot{0.4};
  check("softmax", NadarayaWatson{Gaussian{}, Adaptive{}, dot, NoMask{}, mix});
  check("1.5-entmax", NadarayaWatson{Biweight{}, Adaptive{}, dot, NoMask{}, mix});
  check("1.5-entmax, causal", NadarayaWatson{Biweight{}, Adaptive{}, dot, Causal{}, mix});
  check("alpha-entmax of distances", NadarayaWatson{RectifiedPower::with_alpha(1.3), Adaptive{}, SquaredDistance{0.5}, Causal{}, mix});
  check("fixed", NadarayaWatson{Biweight{}, FixedBandwidth{2.5}, SquaredDistance{}, NoMask{}, mix});
  check("fixed, causal, cosine", NadarayaWatson{Triweight{}, FixedBandwidth{1.5}, Cosine{}, Causal{}, mix});
  check("fixed Gaussian", NadarayaWatson{Gaussian{}, FixedBandwidth{1.5}, SquaredDistance{}, StrictlyCausal{}, mix});
  check("unnormalized", NadarayaWatson{Epanechnikov{}, Unnormalized{2.5, 3.0}, SquaredDistance{}, NoMask{}, mix});
  check("anchored", NadarayaWatson{Biweight{}, Anchored{1.5}, dot, Causal{}, mix});
  check("nearest", NadarayaWatson{Gaussian{}, NearestNeighbors{4}, dot, NoMask{}, mix});
  check("nearest, borrowing the bandwidth", NadarayaWatson{Biweight{}, NearestNeighbors{5}, SquaredDistance{}, Causal{}, mix});
  check("more columns than keys", NadarayaWatson{Biweight{}, Adaptive{}, dot, NoMask{}, mix}, 12);
}

TEST_CASE("local polynomial attention against least squares and finite differences", "[local_linear]") {
  check("quadratic", NadarayaWatson{Gaussian{}, FixedBandwidth{1.5}, SquaredDistance{}, NoMask{}, LocalPolynomial<2>{ridge}}, 2);
  check("cubic", NadarayaWatson{Biweight{}, Adaptive{}, SquaredDistance{}, NoMask{}, LocalPolynomial<3>{ridge}}, 1);
}
