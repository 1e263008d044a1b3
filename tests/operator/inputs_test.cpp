// The same answer whatever holds the numbers, and no copy where none is needed.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{.scale = 0.7}, Causal{}};

struct Inputs {
  test::Random random{31};
  RowMatrix<float> q = random.normal<float>(20, 9), k = random.normal<float>(30, 9), v = random.normal<float>(30, 5);
};

/// Output and gradients of given operands are those of the plain row-major ones, bit for bit.
template <class Q, class K, class V>
void same(const Q& q, const K& k, const V& v) {
  Inputs in;
  RowMatrix<float> expected, out;
  const auto expected_tape = op.forward(in.q, in.k, in.v, expected);
  const auto expected_grads = op.backward(expected_tape, expected);
  const auto tape = op.forward(q, k, v, out);
  const auto grads = op.backward(tape, out);
  REQUIRE(difference(out, expected, 0) == "");
  REQUIRE(difference(op(q, k, v), expected, 0) == "");
  REQUIRE(difference(grads.query, expected_grads.query, 0) == "");
  REQUIRE(difference(grads.key, expected_grads.key, 0) == "");
  REQUIRE(difference(grads.value, expected_grads.value, 0) == "");
  REQUIRE(difference(RowMatrix<float>(op.weights(q, k)), RowMatrix<float>(op.weights(in.q, in.k)), 0) == "");
}

}  // namespace

TEST_CASE("matrices of either order, blocks, transposes and Ref", "[operator][inputs]") {
  Inputs in;
  const Eigen::MatrixXf q = in.q, k = in.k, v = in.v;
  same(q, k, v);
  const Eigen::MatrixXf transposed = in.k.transpose();
  same(in.q, transposed.transpose(), in.v);
  RowMatrix<float> wide = RowMatrix<float>::Constant(40, 50, 7.0f);
  wide.block(3, 1, 20, 9) = in.q;
  wide.block(5, 11, 30, 9) = in.k;
  wide.block(2, 23, 30, 5) = in.v;
  same(wide.block(3, 1, 20, 9), wide.block(5, 11, 30, 9), wide.block(2, 23, 30, 5));
  const Eigen::Ref<const RowMatrix<float>> ref(in.q);
  same(ref, in.k, in.v);
}

TEST_CASE("maps, misaligned and strided", "[operator][inputs]") {
  Inputs in;
  std::vector<float> memory(1 + 30 * 18, 99.0f);
  Eigen::Map<RowMatrix<float>, 0, Eigen::OuterStride<>> rows(memory.data() + 1, 30, 9, Eigen::OuterStride<>(18));
  rows = in.k;
  same(in.q, rows, in.v);
  using Strided = Eigen::Map<RowMatrix<float>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
  Strided every_second(memory.data() + 1, 30, 9, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(18, 2));
  every_second = in.k;
  same(in.q, every_second, in.v);
}

TEST_CASE("expressions and temporaries are evaluated once, and the tape owns them", "[operator][inputs]") {
  Inputs in;
  same(in.q + RowMatrix<float>::Zero(20, 9), in.k * 1.0f, in.v.cast<double>().cast<float>());
  RowMatrix<float> expected, out;
  const auto expected_tape = op.forward(in.q, in.k, in.v, expected);
  const auto tape = op.forward(RowMatrix<float>(in.q), RowMatrix<float>(in.k), RowMatrix<float>(in.v), out);
  std::vector<RowMatrix<float>> litter(10, RowMatrix<float>::Constant(30, 9, -1.0f));
  REQUIRE(difference(op.backward(tape, out).key, op.backward(expected_tape, expected).key, 0) == "");
}

TEST_CASE("an output of any kind, and nothing beside it", "[operator][inputs]") {
  Inputs in;
  RowMatrix<float> expected;
  op.forward(in.q, in.k, in.v, expected);
  Eigen::MatrixXf columns;
  op.forward(in.q, in.k, in.v, columns);
  REQUIRE(difference(columns, expected, 0) == "");
  RowMatrix<float> canary = RowMatrix<float>::Constant(24, 9, 42.0f);
  op.forward(in.q, in.k, in.v, canary.block(2, 3, 20, 5));
  REQUIRE(difference(canary.block(2, 3, 20, 5), expected, 0) == "");
  canary.block(2, 3, 20, 5).setConstant(42.0f);
  REQUIRE((canary.array() == 42.0f).all());
  std::vector<float> memory(101, 42.0f);
  op.forward(in.q, in.k, in.v, Eigen::Map<RowMatrix<float>>(memory.data() + 1, 20, 5));
  REQUIRE(difference(Eigen::Map<RowMatrix<float>>(memory.data() + 1, 20, 5), expected, 0) == "");
  REQUIRE(memory.front() == 42.0f);
}

TEST_CASE("only what must be copied is copied", "[operator][inputs]") {
  Inputs in;
  const Eigen::MatrixXf columns = in.k;
  REQUIRE(!Rows<float>(in.k).copied());
  REQUIRE(!Rows<float>(in.k.middleRows(2, 7)).copied());
  REQUIRE(!Rows<float>(in.k.block(1, 2, 5, 3)).copied());
  REQUIRE(!Rows<float>(columns.transpose()).copied());
  REQUIRE(Rows<float>(columns).copied());
  REQUIRE(Rows<float>(in.k.transpose()).copied());
  REQUIRE(Rows<float>(in.k * 2.0f).copied());
  REQUIRE(Rows<float>(RowMatrix<float>(in.k)).copied());
  RowMatrix<float> out;
  const auto tape = op.forward(in.q, in.k, in.v, out);
  REQUIRE(!tape.query().copied());
  REQUIRE(!tape.key().copied());
  REQUIRE(!tape.value().copied());
  REQUIRE(tape.key().data() == in.k.data());
}
