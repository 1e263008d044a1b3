// Agreement with the method's public reference implementations, forward and gradients, in float64:
// arrays they computed, for one batch entry and two query heads that share a key head.
#include <nadaraya/nadaraya.hpp>

#include "examples/support/npy.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"

#include <string>

using namespace nadaraya;

namespace {

using Head = Eigen::Map<RowMatrix<double>>;

struct Case {
  explicit Case(const std::string& name) { folder.append(name).append("/"); }

  npy::Array load(const std::string& name) const { return npy::read(std::string(folder).append(name).append(".npy")); }

  std::string folder = NADARAYA_TEST_DATA "/attention/";
};

Head head(npy::Array& a, Index h) {
  const auto rows = static_cast<Index>(a.shape[2]);
  const auto cols = static_cast<Index>(a.shape[3]);
  return Head(a.data<double>() + h * rows * cols, rows, cols);
}

template <class Op>
void check(const std::string& name, const Op& op) {
  INFO(name);
  const Case files(name);
  npy::Array q = files.load("query"), k = files.load("key"), v = files.load("value"), g = files.load("grad_output");
  npy::Array out = files.load("out"), dq = files.load("grad_query"), dk = files.load("grad_key"),
             dv = files.load("grad_value");
  RowMatrix<double> sum_dk = RowMatrix<double>::Zero(head(k, 0).rows(), head(k, 0).cols());
  RowMatrix<double> sum_dv = RowMatrix<double>::Zero(head(v, 0).rows(), head(v, 0).cols());
  for (Index h = 0; h < 2; ++h) {
    RowMatrix<double> result;
    const auto tape = op.forward(head(q, h), head(k, 0), head(v, 0), result);
    const auto grads = op.backward(tape, head(g, h));
    REQUIRE(test::difference(result, head(out, h), 1e-10L) == "");
    REQUIRE(test::difference(grads.query, head(dq, h), 1e-10L) == "");
    sum_dk += grads.key;
    sum_dv += grads.value;
  }
  REQUIRE(test::difference(sum_dk, head(dk, 0), 1e-10L) == "");
  REQUIRE(test::difference(sum_dv, head(dv, 0), 1e-10L) == "");
}

}  // namespace

TEST_CASE("arrays of the reference implementations are reproduced to 1e-10", "[fixtures]") {
  check("anchored_biweight_causal", NadarayaWatson{Biweight{}, Anchored{1.5}, DotProduct{0.2}, Causal{}});
  check("anchored_epan", NadarayaWatson{Epanechnikov{}, Anchored{1.0}, DotProduct{0.2}});
  check("entmax15_causal", NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{0.125}, Causal{}});
  check("entmax43_strict", NadarayaWatson{Triweight{}, Adaptive{}, DotProduct{0.2}, StrictlyCausal{}});
  check("entmax_r10_window", NadarayaWatson{RectifiedPower::with_exponent(10.0), Adaptive{}, DotProduct{0.3}, SlidingWindow{37}});
  check("entmax_r2p5", NadarayaWatson{RectifiedPower::with_exponent(2.5), Adaptive{}, DotProduct{0.3}});
  check("fixed_biweight_causal", NadarayaWatson{Biweight{}, FixedBandwidth{1.3}, SquaredDistance{}, Causal{}});
  check("fixed_epan", NadarayaWatson{Epanechnikov{}, FixedBandwidth{1.25}, SquaredDistance{}});
  check("fixed_gauss", NadarayaWatson{Gaussian{}, FixedBandwidth{0.4}, SquaredDistance{}});
  check("fixed_triweight_empty", NadarayaWatson{Triweight{}, FixedBandwidth{1.15}, SquaredDistance{}});
  check("fixed_uniform", NadarayaWatson{Uniform{}, FixedBandwidth{1.3}, SquaredDistance{}});
  check("softmax_causal", NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{0.125}, Causal{}});
  check("sparsemax", NadarayaWatson{Epanechnikov{}, Adaptive{}, DotProduct{0.125}});
  check("topk_softmax", NadarayaWatson{Gaussian{}, NearestNeighbors{16}, DotProduct{0.2}});
  check("topk_uniform_causal", NadarayaWatson{Uniform{}, NearestNeighbors{16}, DotProduct{0.2}, Causal{}});
}
