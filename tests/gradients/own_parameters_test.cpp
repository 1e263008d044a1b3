// Parameters of a similarity and of a bias of one's own: their gradients against finite differences, each pair once, for
// any number of threads.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <atomic>
#include <cmath>
#include <type_traits>
#include <vector>

using namespace nadaraya;

namespace {

/// A gradient, and how many pairs it is a sum over.
struct Counted {
  Eigen::VectorXd by;
  double pairs = 0;

  Counted& operator+=(const Counted& more) {
    by += more.by;
    pairs += more.pairs;
    return *this;
  }
};

/// z = -sum_d w_d (q_d - k_d)^2, the weights of the columns to be learned.
struct LearnedMetric {
  static inline std::atomic<Index> pullbacks{0};  ///< calls of pullback, from all threads
  Eigen::VectorXd w;

  template <class Q, class K>
  typename Q::Scalar score(const Q& q, const K& k) const {
    return -((q - k).cwiseAbs2() * w).value();
  }
  template <class Q, class K, class S, class DQ, class DK>
  void pullback(const Q& q, const K& k, const S& dz, DQ&& dq, DK&& dk) const {
    ++pullbacks;
    const Eigen::RowVectorXd by_q = -2 * dz * (q - k).cwiseProduct(w.transpose());
    dq += by_q;
    dk -= by_q;
  }

  template <class S>
  Counted zero_gradient() const {
    return Counted{Eigen::VectorXd::Zero(w.size())};
  }
  template <class Q, class K, class S>
  void parameter_pullback(const Q& q, const K& k, const S& dz, Counted& sum) const {
    sum.by -= dz * (q - k).cwiseAbs2().transpose();
    sum.pairs += 1;
  }
};

/// z = factor q.k, which the engine forms by the block.
struct LearnedProduct {
  static constexpr bool is_product = true;
  Eigen::VectorXd w;

  template <class Q, class K>
  typename Q::Scalar score(const Q& q, const K& k) const {
    return w(0) * q.dot(k);
  }
  template <class S>
  ProductBound<S> product_bound(const S&, Index) const {
    return ProductBound<S>{S(w(0)), S(0), S(0)};
  }
  template <class Q, class K, class S, class DQ, class DK>
  void pullback(const Q& q, const K& k, const S& dz, DQ&& dq, DK&& dk) const {
    dq += w(0) * dz * k;
    dk += w(0) * dz * q;
  }

  template <class S>
  Counted zero_gradient() const {
    return Counted{Eigen::VectorXd::Zero(1)};
  }
  template <class Q, class K, class S>
  void parameter_pullback(const Q& q, const K& k, const S& dz, Counted& sum) const {
    sum.by(0) += dz * q.dot(k);
    sum.pairs += 1;
  }
};

/// A bias for each distance from the query's own place, as of relative positions.
struct LearnedBias {
  Eigen::VectorXd w;

  double operator()(Index query, Index key, const Extent& n) const { return w(place(query, key, n)); }

  template <class S>
  Counted zero_gradient() const {
    return Counted{Eigen::VectorXd::Zero(w.size())};
  }
  template <class S>
  void bias_pullback(Index query, Index key, const Extent& n, const S& dz, Counted& sum) const {
    sum.by(place(query, key, n)) += dz;
    sum.pairs += 1;
  }

 private:
  Index place(Index query, Index key, const Extent& n) const { return std::abs(n.diagonal(query) - key) % w.size(); }
};

/// Central differences of sum(out * g) by the parameters of the similarity and of the bias.
template <class K, class S>
void check(const K& kernel, const S& similarity, Index queries, Index keys) {
  test::Random random(3);
  const RowMatrix<double> q = random.normal<double>(queries, 4), k = random.normal<double>(keys, 4);
  const RowMatrix<double> v = random.normal<double>(keys, 3), g = random.normal<double>(queries, 3);
  const LearnedBias bias{random.normal<double>(5, 1)};
  const auto with = [&](const S& s, const LearnedBias& b) {
    return NadarayaWatson(kernel, Adaptive{}, s, Causal{} & AdditiveBias{b});
  };
  const auto op = with(similarity, bias);
  RowMatrix<double> out;
  const auto tape = op.forward(q, k, v, out);
  LearnedMetric::pullbacks = 0;
  const auto grads = op.backward(tape, g);
  // The engine pulls products back without calling them.
  const double calls_per_pair = std::is_same_v<S, LearnedMetric> ? 2 : 0;
  REQUIRE(static_cast<double>(LearnedMetric::pullbacks) == calls_per_pair * grads.similarity.pairs);

  double pairs = 0;
  for (Index i = 0; i < queries; ++i) pairs += static_cast<double>(tape.support_size(i));
  REQUIRE(grads.similarity.pairs <= pairs);
  REQUIRE(grads.similarity.pairs > 0.9 * pairs);  // where rounding has not left a gradient of zero
  REQUIRE(grads.bias.pairs == grads.similarity.pairs);

  const double step = 1e-6;
  const auto difference = [&](const S& low_s, const S& high_s, const LearnedBias& low, const LearnedBias& high) {
    const double below = with(low_s, low)(q, k, v).cwiseProduct(g).sum();
    return (with(high_s, high)(q, k, v).cwiseProduct(g).sum() - below) / (2 * step);
  };
  for (Index d = 0; d < similarity.w.size(); ++d) {
    S low = similarity, high = similarity;
    low.w(d) -= step;
    high.w(d) += step;
    const double expected = difference(low, high, bias, bias);
    INFO("similarity " << d << ": " << grads.similarity.by(d) << ", expected " << expected);
    REQUIRE(std::abs(grads.similarity.by(d) - expected) <= 1e-5 * (1 + std::abs(expected)));
  }
  for (Index d = 0; d < bias.w.size(); ++d) {
    LearnedBias low = bias, high = bias;
    low.w(d) -= step;
    high.w(d) += step;
    const double expected = difference(similarity, similarity, low, high);
    INFO("bias " << d << ": " << grads.bias.by(d) << ", expected " << expected);
    REQUIRE(std::abs(grads.bias.by(d) - expected) <= 1e-5 * (1 + std::abs(expected)));
  }

  for (const int threads : {2, 3, 5}) {
    LearnedMetric::pullbacks = 0;
    const auto again = op.backward(tape, g, Threads{threads});
    REQUIRE(static_cast<double>(LearnedMetric::pullbacks) == calls_per_pair * grads.similarity.pairs);
    REQUIRE(again.similarity.by == grads.similarity.by);
    REQUIRE(again.similarity.pairs == grads.similarity.pairs);
    REQUIRE(again.bias.by == grads.bias.by);
  }
}

}  // namespace

TEST_CASE("parameters of a metric and a bias of one's own get the sum over each pair once", "[gradients][own]") {
  const LearnedMetric metric{Eigen::Vector4d(0.5, 1.0, 0.2, 0.1)};
  SECTION("sparse") { check(Biweight{}, metric, 250, 300); }
  SECTION("most pairs supported, formed again") { check(Biweight{}, LearnedMetric{0.01 * metric.w}, 110, 120); }
}

TEST_CASE("parameters of a product of one's own get the sum over each pair once", "[gradients][own]") {
  check(Gaussian{}, LearnedProduct{Eigen::VectorXd::Constant(1, 0.7)}, 210, 230);
}

TEST_CASE("heads have the gradients of their own parameters, summed over the batch", "[gradients][own]") {
  using Op = NadarayaWatson<Biweight, Adaptive, LearnedMetric, Intersection<Causal, AdditiveBias<LearnedBias>>>;
  test::Random random(5);
  const Index batch = 2, heads = 2, tokens = 20, dim = 4;
  const auto numbers = [&] {
    return RowMatrix<double>(random.normal<double>(batch * heads * tokens, dim));
  };
  const RowMatrix<double> q = numbers(), k = numbers(), v = numbers(), g = numbers();
  RowMatrix<double> out = q, by_q = q, by_k = q, by_v = q;
  std::vector<Op> operators;
  for (const double scale : {0.5, 1.5}) {
    operators.emplace_back(Biweight{}, Adaptive{}, LearnedMetric{Eigen::VectorXd::Constant(dim, scale)},
                           Causal{} & AdditiveBias{LearnedBias{Eigen::VectorXd::Constant(3, scale)}});
  }
  const auto in = [&](const RowMatrix<double>& x) { return HeadView<const double>::bhnd(x.data(), batch, heads, tokens, dim); };
  const auto to = [&](RowMatrix<double>& x) { return HeadView<double>::bhnd(x.data(), batch, heads, tokens, dim); };
  const Attention attention(operators);
  const auto tape = attention.forward(in(q), in(k), in(v), to(out));
  const auto parameters = attention.backward(tape, in(g), to(by_q), to(by_k), to(by_v));
  REQUIRE(parameters.size() == 2);
  for (Index h = 0; h < heads; ++h) {
    const Op& op = operators[std::size_t(h)];
    Counted metric = op.similarity().zero_gradient<double>(), bias = op.mask().zero_gradient<double>();
    for (Index b = 0; b < batch; ++b) {
      const auto rows = [&](const RowMatrix<double>& x) { return RowMatrix<double>(x.middleRows((b * heads + h) * tokens, tokens)); };
      const RowMatrix<double> one_q = rows(q), one_k = rows(k), one_v = rows(v);
      RowMatrix<double> one_out;
      const auto one = op.backward(op.forward(one_q, one_k, one_v, one_out), rows(g));
      metric += one.similarity;
      bias += one.bias;
    }
    REQUIRE(parameters[std::size_t(h)].similarity.by.isApprox(metric.by, 1e-12));
    REQUIRE(parameters[std::size_t(h)].bias.by.isApprox(bias.by, 1e-12));
  }
}
