// The modules one by one: what they compute, and their gradients.
#include <nadaraya/mosaic/cross_entropy.hpp>
#include <nadaraya/mosaic/dropout.hpp>
#include <nadaraya/mosaic/embedding.hpp>
#include <nadaraya/mosaic/key_extractor.hpp>
#include <nadaraya/mosaic/kernel_width.hpp>
#include <nadaraya/mosaic/layer_norm.hpp>
#include <nadaraya/mosaic/product.hpp>
#include <nadaraya/mosaic/value_extractor.hpp>

#include "tests/mosaic/finite_differences.hpp"
#include "tests/support/close.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::mosaic;
using namespace nadaraya::test;

namespace {

const Serial serial;
const Sequences two_of_four{2, 4};

template <class Scalar>
void require_products(Index rows, Index depth, Index cols, double epsilon) {
  INFO(rows << " x " << depth << " x " << cols);
  Random random(3);
  const auto x = random.normal<Scalar>(rows, depth);
  const auto w = random.normal<Scalar>(cols, depth);
  const auto y = random.normal<Scalar>(rows, cols);
  RowMatrix<Scalar> xw, yw, sum = w;
  multiply_transposed(x, w, xw, serial);
  multiply(y, w, yw, serial);
  add_transposed_product(y, x, sum, serial);
  const RowMatrix<double> xd = x.template cast<double>(), wd = w.template cast<double>(), yd = y.template cast<double>();
  // Sums of n products, each off by at most (n + 1) eps of the sum of magnitudes, here of normal numbers.
  const auto tolerance = [&](Index n) { return 8 * epsilon * static_cast<double>(n + 1) * std::sqrt(static_cast<double>(n)); };
  const RowMatrix<double> expected_xw = xd * wd.transpose(), expected_yw = yd * wd, expected_sum = wd + yd.transpose() * xd;
  REQUIRE(difference(xw, expected_xw, tolerance(depth)) == "");
  REQUIRE(difference(yw, expected_yw, tolerance(cols)) == "");
  REQUIRE(difference(sum, expected_sum, tolerance(rows)) == "");
}

}  // namespace

TEST_CASE("products of matrices of all sizes", "[mosaic]") {
  // Around the sizes of a piece of work: 48 rows, 128 terms.
  struct Sizes {
    Index rows, depth, cols;
  };
  for (const Sizes& n : {Sizes{1, 1, 1}, {5, 31, 16}, {48, 128, 7}, {49, 129, 3}, {97, 127, 1}, {7, 257, 9}, {3, 2, 65}}) {
    require_products<double>(n.rows, n.depth, n.cols, 2.3e-16);
    require_products<float>(n.rows, n.depth, n.cols, 1.2e-7);
  }
  require_products<long double>(7, 130, 5, 2.3e-16);
}

TEST_CASE("a linear map", "[mosaic]") {
  Problem p;
  const Linear linear(p.layout, "w", {Problem::width, Problem::width, 1});
  p.draw(8, 1, 0);
  RowMatrix<double> y;
  linear.forward(p.parameters, p.x, y, serial);
  const RowMatrix<double> expected = p.x * p.parameters[Slot{0, 6, 6}].transpose();
  REQUIRE(difference(y, expected, 1e-14) == "");
  linear.backward(p.parameters, p.x, p.weights, p.grads, p.grad_x, serial);
  p.require_right([&] {
    linear.forward(p.parameters, p.x, y, serial);
    return p.loss(y);
  });
}

TEST_CASE("the leaky average is the sum it stands for, in each sequence by itself", "[mosaic]") {
  Problem p;
  const LeakyAverage average(p.layout, "", Problem::heads);
  p.draw(8, 2, 0.1);
  p.parameters.vector()(1) *= -1;  // its magnitude counts
  RowMatrix<double> y, expected = RowMatrix<double>::Zero(8, 6);
  average.forward(p.parameters, two_of_four, p.x, y, serial);
  for (Index t = 0; t < 8; ++t) {
    for (Index c = 0; c < 6; ++c) {
      const double rate = std::abs(10 * p.parameters.vector()(c / 3));
      for (Index i = t / 4 * 4; i <= t; ++i) {
        expected(t, c) += (1 - std::exp(-rate)) * std::exp(-rate * static_cast<double>(t - i)) * p.x(i, c);
      }
    }
  }
  REQUIRE(difference(y, expected, 1e-14) == "");
  average.backward(p.parameters, two_of_four, p.x, y, p.weights, p.grads, p.grad_x, serial);
  p.require_right([&] {
    RowMatrix<double> again;
    average.forward(p.parameters, two_of_four, p.x, again, serial);
    return p.loss(again);
  });
}

TEST_CASE("a leaky average that never forgets hears nothing, and has no direction to learn in", "[mosaic]") {
  Problem p;
  const LeakyAverage average(p.layout, "", Problem::heads);
  p.draw(8, 2, 0.1);
  p.parameters.set_zero();
  RowMatrix<double> y;
  average.forward(p.parameters, two_of_four, p.x, y, serial);
  REQUIRE(y.isZero(0));
  average.backward(p.parameters, two_of_four, p.x, y, p.weights, p.grads, p.grad_x, serial);
  REQUIRE((p.grads.vector() == 0).all());
}

TEST_CASE("a direction has length 1; a zero has none", "[mosaic]") {
  Problem p;
  p.draw(8, 3, 0);
  p.x.row(2).head(3).setZero();
  RowMatrix<double> u, norms;
  unit_norm(p.x, 2, u, norms, serial);
  REQUIRE(u.row(2).head(3).isZero(0));
  REQUIRE(std::abs(u.row(2).tail(3).norm() - 1) <= 4e-16);
  unit_norm_pullback(u, norms, p.weights, p.grad_x, serial);
  REQUIRE(p.grad_x.row(2).head(3).isZero(0));
  p.x.row(2).head(3).setOnes();
  unit_norm(p.x, 2, u, norms, serial);
  unit_norm_pullback(u, norms, p.weights, p.grad_x, serial);
  p.require_right([&] {
    RowMatrix<double> again, unused;
    unit_norm(p.x, 2, again, unused, serial);
    return p.loss(again);
  });
}

TEST_CASE("keys: directions of averages", "[mosaic]") {
  Problem p;
  const KeyExtractor keys(p.layout, "", Problem::width, Problem::heads);
  p.draw(8, 4, 0.1);
  KeyExtractor::Tape<double> tape;
  keys.forward(p.parameters, two_of_four, p.x, tape, serial);
  REQUIRE(std::abs(tape.key.row(5).tail(3).norm() - 1) <= 4e-16);
  keys.backward(p.parameters, two_of_four, p.x, tape, p.weights, p.grads, p.grad_x, serial);
  p.require_right([&] {
    KeyExtractor::Tape<double> again;
    keys.forward(p.parameters, two_of_four, p.x, again, serial);
    return p.loss(again.key);
  });
}

TEST_CASE("values look one token ahead, and not out of their sequence", "[mosaic]") {
  Problem p;
  const ValueExtractor values(p.layout, "", Problem::width, Problem::heads);
  p.draw(8, 5, 0.3);
  ValueExtractor::Tape<double> tape;
  values.forward(p.parameters, two_of_four, p.x, tape, serial);
  values.backward(p.parameters, two_of_four, p.x, tape, p.weights, p.grads, p.grad_x, serial);
  p.require_right([&] {
    ValueExtractor::Tape<double> again;
    values.forward(p.parameters, two_of_four, p.x, again, serial);
    return p.loss(again.value);
  });
  for (Index changed = 0; changed < 8; ++changed) {
    RowMatrix<double> x = p.x;
    x(changed, 0) += 1;
    ValueExtractor::Tape<double> other;
    values.forward(p.parameters, two_of_four, x, other, serial);
    for (Index t = 0; t < 8; ++t) {
      const bool looks_there = t == changed || (t + 1 == changed && changed != 4);
      REQUIRE((other.value.row(t) == tape.value.row(t)) == !looks_there);
    }
  }
}

TEST_CASE("a scale for each head", "[mosaic]") {
  Problem p;
  const ValueScale scale(p.layout, "", Problem::heads);
  p.draw(8, 6, 0.1);
  RowMatrix<double> y;
  scale.forward(p.parameters, p.x, y, serial);
  REQUIRE(std::abs(y(3, 4) - p.x(3, 4) * std::exp(10 * p.parameters.vector()(1))) <= 1e-14);
  scale.backward(p.parameters, p.x, p.weights, p.grads, p.grad_x, serial);
  p.require_right([&] {
    scale.forward(p.parameters, p.x, y, serial);
    return p.loss(y);
  });
}

TEST_CASE("layer norm", "[mosaic]") {
  Problem p;
  const LayerNorm layer_norm(p.layout, "", Problem::width);
  p.draw(8, 7, 1);
  p.x *= 0.01;  // so that the 1e-5 counts
  LayerNorm::Tape<double> tape;
  layer_norm.forward(p.parameters, p.x, tape, serial);
  const double mean = p.x.row(3).mean();
  const double variance = (p.x.row(3).array() - mean).square().mean();
  REQUIRE(std::abs(tape.out(3, 2) - p.parameters.vector()(2) * (p.x(3, 2) - mean) / std::sqrt(variance + 1e-5)) <= 1e-13);
  p.weights *= 1e-3;  // the third derivatives are those of a hundredth
  layer_norm.backward(p.parameters, tape, p.weights, p.grads, p.grad_x, serial);
  p.require_right([&] {
    LayerNorm::Tape<double> again;
    layer_norm.forward(p.parameters, p.x, again, serial);
    return p.loss(again.out);
  });
}

TEST_CASE("the embedding and its head share their weights", "[mosaic]") {
  Problem p;
  const Embedding embedding(p.layout, 5, Problem::width);
  p.draw(8, 8, 0);
  const std::vector<int> tokens{3, 0, 3, 4, 4, 4, 1, 0};
  const RowMatrix<double> weights = Random(9).normal<double>(8, 5);
  RowMatrix<double> x, logits, grad_x;
  const auto loss = [&] {
    embedding.forward(p.parameters, tokens, x);
    embedding.logits(p.parameters, x, logits, serial);
    return logits.cwiseProduct(weights).sum();
  };
  loss();
  REQUIRE(std::abs(logits(0, 4) - p.parameters[Slot{0, 5, 6}].row(3).dot(p.parameters[Slot{0, 5, 6}].row(4)) / std::sqrt(6.0)) <= 1e-14);
  embedding.logits_backward(p.parameters, x, weights, p.grads, grad_x, serial);
  embedding.backward(tokens, grad_x, p.grads);
  require_gradients(p.layout, p.parameters, p.grads, loss);
}

TEST_CASE("widths of kernels from their parameters", "[mosaic]") {
  Layout layout;
  const KernelWidth width(layout, "", 3, true);
  Parameters<double> parameters(layout), grads(layout);
  parameters.vector() << 0.1, 0.4, 0.6, -0.1, 0.0, 0.2;
  const auto shapes = width.shapes(parameters);
  REQUIRE(std::abs(shapes[0].beta - std::exp(1.0)) <= 1e-15);
  REQUIRE(std::abs(shapes[2].beta - std::exp(5.0)) <= 1e-13);  // at its largest
  REQUIRE(shapes[1].alpha == 1.5);
  const std::vector<KernelShape> slopes{{0.3, -0.7}, {0.2, 1.1}, {0.9, 0.4}};
  width.backward(parameters, slopes, grads);
  REQUIRE(grads.vector()(2) == 0);
  require_gradients(layout, parameters, grads, [&] {
    double sum = 0;
    const auto at = width.shapes(parameters);
    for (std::size_t h = 0; h < 3; ++h) sum += slopes[h].beta * at[h].beta + slopes[h].alpha * at[h].alpha;
    return sum;
  });
}

TEST_CASE("cross-entropy counts the tokens that have a target", "[mosaic]") {
  RowMatrix<double> logits = Random(10).normal<double>(4, 3);
  const std::vector<int> targets{2, no_target, 0, 1};
  RowMatrix<double> grad;
  double expected = 0;
  for (const Index t : {0, 2, 3}) {
    expected += std::log(logits.row(t).array().exp().sum()) - logits(t, targets[static_cast<std::size_t>(t)]);
  }
  REQUIRE(std::abs(cross_entropy(logits, targets, &grad, serial) - expected / 3) <= 1e-15);
  REQUIRE(grad.row(1).isZero(0));
  const auto loss = [&] { return cross_entropy<double>(logits, targets, nullptr, serial); };
  require_gradient(logits, grad, loss, "logits");
  logits *= 1e4;
  REQUIRE(std::isfinite(cross_entropy(logits, targets, &grad, serial)));
  REQUIRE(grad.allFinite());
  REQUIRE(cross_entropy(logits, std::vector<int>(4, no_target), &grad, serial) == 0);
  REQUIRE(grad.isZero(0));
  REQUIRE_THROWS_WITH(cross_entropy(logits, std::vector<int>{0, 1, 2}, &grad, serial),
                      "nadaraya::mosaic::cross_entropy: logits is [4 x 3], and there are 3 targets");
  REQUIRE_THROWS_WITH(cross_entropy(logits, std::vector<int>{0, 1, 2, 3}, &grad, serial),
                      "nadaraya::mosaic::cross_entropy: a target is 3, and logits is [4 x 3]");
}

TEST_CASE("dropout depends on seed, step, site and place alone", "[mosaic]") {
  const RowMatrix<double> ones = RowMatrix<double>::Ones(200, 100);
  const auto dropped = [&](const Dropout& dropout, std::uint64_t site, const AnyExecutor& executor) {
    RowMatrix<double> x = ones;
    dropout.apply(site, x, executor);
    return x;
  };
  const RowMatrix<double> x = dropped({0.25, 1, 2}, 3, serial);
  REQUIRE(((x.array() == 0) || (x.array() == 1 / 0.75)).all());
  // 20,000 draws: 6 standard deviations of the share are 0.018.
  REQUIRE(std::abs((x.array() == 0).cast<double>().mean() - 0.25) <= 0.018);
  REQUIRE(x == dropped({0.25, 1, 2}, 3, Threads{3}));
  for (const auto& other : {dropped({0.25, 2, 2}, 3, serial), dropped({0.25, 1, 3}, 3, serial), dropped({0.25, 1, 2}, 4, serial)}) {
    // Independent draws agree with probability 0.625.
    REQUIRE(std::abs((x.array() == other.array()).cast<double>().mean() - 0.625) <= 0.021);
  }
  REQUIRE(dropped({0.0, 1, 2}, 3, serial) == ones);
  REQUIRE_THROWS_AS(Dropout{1.0}.validate(), std::invalid_argument);
  REQUIRE_THROWS_AS(Dropout{std::nan("")}.validate(), std::invalid_argument);
}
