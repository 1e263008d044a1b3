// A bandwidth for each column: against the oracle with its gradients, SquaredDistance with equal bandwidths and rows that are
// divided by the bandwidths; heads and caches; the laws of its bounds.
#include <nadaraya/nadaraya.hpp>

#include "tests/gradients/check.hpp"
#include "tests/support/message.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

const Eigen::RowVector3d widths(0.9, 1.7, 3.0);

/// y of an operator, and its gradients.
template <class Op, class Scalar>
auto pass(const Op& op, const RowMatrix<Scalar>& q, const RowMatrix<Scalar>& k, const RowMatrix<Scalar>& v, RowMatrix<Scalar>& out) {
  const auto tape = op.forward(q, k, v, out);
  return op.backward(tape, out);
}

/// Bandwidths that are equal, a power of two, are a scale, bit for bit; others are divisors of the columns, to rounding.
template <class Scalar>
void check_columns(Index queries, Index keys, Index dimension) {
  INFO(queries << " queries, " << keys << " keys of " << dimension << " columns, " << sizeof(Scalar) << " bytes");
  test::Random random(11);
  const RowMatrix<Scalar> q = random.normal<Scalar>(queries, dimension), k = random.normal<Scalar>(keys, dimension),
                          v = random.normal<Scalar>(keys, 3);
  const double h = 0.5 * std::sqrt(static_cast<double>(dimension));
  RowMatrix<Scalar> out, same_out;
  using Row = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;
  const DiagonalDistance<Scalar> equal(Row::Constant(dimension, Scalar(4)));
  const auto grads = pass(NadarayaWatson(Biweight{}, FixedBandwidth{h}, equal), q, k, v, out);
  const auto same = pass(NadarayaWatson(Biweight{}, FixedBandwidth{h}, SquaredDistance{1.0 / 16}), q, k, v, same_out);
  REQUIRE(difference(out, same_out, 0) == "");
  REQUIRE(difference(grads.query, same.query, 0) == "");
  REQUIRE(difference(grads.key, same.key, 0) == "");
  REQUIRE(difference(grads.value, same.value, 0) == "");
  REQUIRE(grads.bandwidth == same.bandwidth);
  // z = -scale |q - k|^2, scale = 1 / h^2: sum_d dL/dh_d = -2 / h^3 dL/dscale.
  const double tolerance = 300 * static_cast<double>(Eigen::NumTraits<Scalar>::epsilon());
  const double sum = static_cast<double>(grads.similarity.sum()), size = static_cast<double>(grads.similarity.cwiseAbs().sum());
  REQUIRE(std::abs(sum + 2.0 / 64 * static_cast<double>(same.scale)) <= tolerance * size);

  Row uneven(dimension);
  for (Index d = 0; d < dimension; ++d) uneven(d) = static_cast<Scalar>(0.4 + 0.3 * static_cast<double>(d % 5));
  const auto by_column = pass(NadarayaWatson(Biweight{}, FixedBandwidth{2 * h}, DiagonalDistance<Scalar>(uneven)), q, k, v, out);
  // Scaled rows x' = x / h: dL/dh_d = -(sum_i q_id dL/dq_id + sum_j k_jd dL/dk_jd) / h_d.
  const Row expected = -(q.cwiseProduct(by_column.query).colwise().sum() + k.cwiseProduct(by_column.key).colwise().sum()).cwiseQuotient(uneven);
  REQUIRE((by_column.similarity - expected).cwiseAbs().maxCoeff() <= Scalar(tolerance) * by_column.similarity.cwiseAbs().sum());
  // Keys near the edge of the support are sensitive to rounding: not compared in float.
  if (std::is_same_v<Scalar, float>) return;
  const RowMatrix<Scalar> scaled_q = q * uneven.cwiseInverse().asDiagonal(), scaled_k = k * uneven.cwiseInverse().asDiagonal();
  const auto scaled = pass(NadarayaWatson(Biweight{}, FixedBandwidth{2 * h}, SquaredDistance{}), scaled_q, scaled_k, v, same_out);
  REQUIRE(difference(out, same_out, 1e-10L, 1e-10L) == "");
  REQUIRE(difference(by_column.query, RowMatrix<Scalar>(scaled.query * uneven.cwiseInverse().asDiagonal()), 1e-10L, 1e-10L) == "");
  REQUIRE(difference(by_column.key, RowMatrix<Scalar>(scaled.key * uneven.cwiseInverse().asDiagonal()), 1e-10L, 1e-10L) == "");
}

/// Bounds rule out no key that counts: they hold for scores as computed.
template <class Scalar>
void check_bounds() {
  test::Random random(5);
  for (const Index dimension : {1, 2, 3, 8, 33}) {
    Eigen::Matrix<Scalar, 1, Eigen::Dynamic> h(dimension);
    for (Index d = 0; d < dimension; ++d) h(d) = static_cast<Scalar>(std::exp(0.7 * static_cast<double>((5 * d) % 7)) / 3);
    for (const bool equal : {false, true}) {
      if (equal) h.setConstant(Scalar(0.7));
      const DiagonalDistance<Scalar> similarity(h);
      const RowMatrix<Scalar> rows = random.normal<Scalar>(200, dimension);
      for (Index i = 0; i + 1 < rows.rows(); ++i) {
        // Near rows too, whose norms cancel.
        const auto q = rows.row(i);
        const RowMatrix<Scalar> k = i % 2 == 0 ? RowMatrix<Scalar>(rows.row(i + 1)) : RowMatrix<Scalar>(q + Scalar(1e-3) * rows.row(i + 1));
        const Scalar z = similarity.score(q, k.row(0));
        const auto bound = similarity.product_bound(Scalar(q.squaredNorm()), dimension);
        REQUIRE(z <= bound.product * q.dot(k.row(0)) + bound.key_norm * k.squaredNorm() + bound.constant);
        const Scalar floor = std::nextafter(z, -std::numeric_limits<Scalar>::infinity());
        REQUIRE((q - k.row(0)).template cast<long double>().norm() <= static_cast<long double>(similarity.radius(floor, dimension)));
      }
    }
  }
}

}  // namespace

TEST_CASE("a bandwidth for each column: forward and gradients agree with the oracle", "[gradients]") {
  const DiagonalDistance similarity(widths);
  SECTION("fixed bandwidth, Gaussian") { test::check_masks("gaussian", Gaussian{}, FixedBandwidth{0.8}, similarity); }
  SECTION("fixed bandwidth, biweight") { test::check_masks("biweight", Biweight{}, FixedBandwidth{1.3}, similarity); }
  SECTION("unnormalized") { test::check_masks("triweight", Triweight{}, Unnormalized{1.3, 2.5}, similarity); }
  SECTION("adaptive") { test::check_masks("epanechnikov", Epanechnikov{}, Adaptive{}, similarity); }
  SECTION("nearest neighbours") { test::check_masks("biweight", Biweight{}, NearestNeighbors{3}, similarity); }
}

TEST_CASE("equal bandwidths are a scale, others divide the columns", "[gradients]") {
  check_columns<double>(5, 7, 3);
  check_columns<double>(120, 1500, 2);  // by a grid
  check_columns<float>(120, 1500, 2);
  check_columns<float>(90, 300, 19);
  check_columns<double>(90, 300, 19);
}

TEST_CASE("bounds of a distance with a bandwidth for each column hold as computed", "[gradients]") {
  check_bounds<float>();
  check_bounds<double>();
}

TEST_CASE("heads with other bandwidths share keys and caches", "[gradients]") {
  using Op = NadarayaWatson<Biweight, FixedBandwidth, DiagonalDistance<float>>;
  test::Random random(3);
  const RowMatrix<float> q = random.normal<float>(2 * 12, 3), k = random.normal<float>(40, 3), v = random.normal<float>(40, 2);
  RowMatrix<float> out(2 * 12, 2), by_q(2 * 12, 3), by_k(40, 3), by_v(40, 2);
  std::vector<Op> operators;
  for (const float factor : {1.0f, 0.6f}) {
    operators.emplace_back(Biweight{}, FixedBandwidth{1.0}, DiagonalDistance(factor * widths.cast<float>()));
  }
  const Attention attention(operators);
  const auto queries = HeadView<const float>::bhnd(q.data(), 1, 2, 12, 3), keys = HeadView<const float>::bhnd(k.data(), 1, 1, 40, 3),
             values = HeadView<const float>::bhnd(v.data(), 1, 1, 40, 2);
  const auto outs = HeadView<float>::bhnd(out.data(), 1, 2, 12, 2);
  const auto tape = attention.forward(queries, keys, values, outs);
  const auto parameters =
      attention.backward(tape, HeadView<const float>::bhnd(out.data(), 1, 2, 12, 2), HeadView<float>::bhnd(by_q.data(), 1, 2, 12, 3),
                         HeadView<float>::bhnd(by_k.data(), 1, 1, 40, 3), HeadView<float>::bhnd(by_v.data(), 1, 1, 40, 2));
  RowMatrix<float> sum = RowMatrix<float>::Zero(40, 3);
  for (Index h = 0; h < 2; ++h) {
    RowMatrix<float> one_out;
    const RowMatrix<float> one_q = q.middleRows(12 * h, 12);
    const auto one = pass(operators[static_cast<std::size_t>(h)], one_q, k, v, one_out);
    REQUIRE(difference(RowMatrix<float>(out.middleRows(12 * h, 12)), one_out, 0) == "");
    REQUIRE(difference(RowMatrix<float>(by_q.middleRows(12 * h, 12)), one.query, 0) == "");
    REQUIRE(parameters[static_cast<std::size_t>(h)].similarity == one.similarity);
    sum += one.key;
  }
  REQUIRE(difference(by_k, sum, 1e-6, 1e-6) == "");

  LayerCache<float, DiagonalDistance<float>> cache(1, 1, 3, 2);
  cache.append(keys, values);
  RowMatrix<float> cached(2 * 12, 2), uncached(2 * 12, 2);
  attention(queries, cache, HeadView<float>::bhnd(cached.data(), 1, 2, 12, 2));
  attention(queries, keys, values, HeadView<float>::bhnd(uncached.data(), 1, 2, 12, 2));
  REQUIRE(difference(cached, uncached, 0) == "");
  KeyValueCache<Eigen::bfloat16, DiagonalDistance<float>> stored(3, 2);
  stored.append(k, v);
  const RowMatrix<float> rounded_k = k.cast<Eigen::bfloat16>().cast<float>(), rounded_v = v.cast<Eigen::bfloat16>().cast<float>();
  REQUIRE(difference(operators[0](RowMatrix<float>(q.topRows(12)), stored),
                     operators[0](RowMatrix<float>(q.topRows(12)), rounded_k, rounded_v), 0) == "");
}

TEST_CASE("a local line takes a bandwidth for each column", "[gradients]") {
  test::Random random(9);
  const RowMatrix<double> q = random.normal<double>(6, 3), k = random.normal<double>(50, 3), v = random.normal<double>(50, 2);
  const auto op = NadarayaWatson(Biweight{}, FixedBandwidth{2.0}, DiagonalDistance(widths)).with(LocalLinear{0.01});
  const auto loss = [&](const Eigen::RowVector3d& h) {
    return NadarayaWatson(Biweight{}, FixedBandwidth{2.0}, DiagonalDistance(h)).with(LocalLinear{0.01})(q, k, v).squaredNorm() / 2;
  };
  RowMatrix<double> out;
  const auto grads = pass(op, q, k, v, out);
  REQUIRE(difference(out, reference::attend<long double>(op, q, k, v), 1e-10L, 1e-10L) == "");
  for (Index d = 0; d < 3; ++d) {
    Eigen::RowVector3d low = widths, high = widths;
    low(d) -= 1e-5;
    high(d) += 1e-5;
    REQUIRE(std::abs(grads.similarity(d) - (loss(high) - loss(low)) / 2e-5) <= 1e-6 * (1 + std::abs(grads.similarity(d))));
  }
}

TEST_CASE("bandwidths without meaning, or for other columns, are refused", "[gradients]") {
  const RowMatrix<double> x = RowMatrix<double>::Ones(4, 3);
  const auto refuses = [&](const Eigen::RowVectorXd& h, const std::string& reason) {
    const NadarayaWatson op(Biweight{}, FixedBandwidth{1.0}, DiagonalDistance(h));
    RowMatrix<double> out = RowMatrix<double>::Constant(4, 3, 42.0);
    REQUIRE_THAT(test::message([&] { op.forward(x, x, x, out); }), catch_shim::contains(reason));
    REQUIRE((out.array() == 42.0).all());
    const auto view = HeadView<const double>::bhnd(x.data(), 1, 1, 4, 3);
    REQUIRE_THAT(test::message([&] { Attention(std::vector{op})(view, view, view, HeadView<double>::bhnd(out.data(), 1, 1, 4, 3)); }),
                 catch_shim::contains(reason));
    REQUIRE((out.array() == 42.0).all());
  };
  refuses(Eigen::RowVector2d(1, 2), "DiagonalDistance: there are 2 bandwidths, and query and key have 3 columns");
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity(), 1e-200, 1e200}) {
    refuses(Eigen::RowVector3d(1, bad, 2), "DiagonalDistance: bandwidths must be positive");
  }
}
