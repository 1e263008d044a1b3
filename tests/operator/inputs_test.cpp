// The same answer whatever holds the numbers, and no copy where none is needed.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <Eigen/SparseCore>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;
using catch_shim::contains;
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

namespace {

/// forward refuses an output and leaves it as it is.
template <class Out>
void refuses(Out&& out, const std::string& text) {
  Inputs in;
  const RowMatrix<float> before = out;
  REQUIRE_THROWS_WITH(op.forward(in.q, in.k, in.v, out), contains("NadarayaWatson::forward: out") && contains(text));
  REQUIRE_THROWS_AS(op.forward(in.q, in.k, in.v, out), std::invalid_argument);
  REQUIRE(difference(out, before, 0) == "");
}

template <class Out>
void takes(Out&& out) {
  Inputs in;
  op.forward(in.q, in.k, in.v, out);
  REQUIRE(difference(out, op(in.q, in.k, in.v), 0) == "");
}

}  // namespace

TEST_CASE("an output of a type that cannot take the shape is refused", "[operator][inputs][errors]") {
  using Eigen::Dynamic;
  using Eigen::RowMajor;
  const auto of_one = [](auto m) {
    m.setConstant(1.0f);
    return m;
  };
  const std::string text = "out must be [20 x 5], to which its type cannot be resized; got ";
  refuses(of_one(Eigen::VectorXf(100)), text + "[100 x 1]");
  refuses(of_one(Eigen::RowVectorXf(5)), text + "[1 x 5]");
  refuses(of_one(Eigen::Matrix<float, 2, 2, RowMajor>()), text + "[2 x 2]");
  refuses(of_one(Eigen::Matrix<float, 20, 4>()), text + "[20 x 4]");
  refuses(of_one(Eigen::Matrix<float, 5, 20>()), text);
  refuses(of_one(Eigen::Matrix<float, Dynamic, 4, RowMajor>(20, 4)), text);
  refuses(of_one(Eigen::Matrix<float, 19, Dynamic, RowMajor>(19, 5)), text);
  refuses(of_one(Eigen::Matrix<float, Dynamic, Dynamic, RowMajor, 19, 5>(3, 3)), text + "[3 x 3]");
  refuses(of_one(Eigen::Matrix<float, Dynamic, Dynamic, Eigen::ColMajor, 30, 4>(3, 3)), text);
  refuses(of_one(Eigen::Array<float, 4, 4>()).matrix(), "out must be [20 x 5], got [4 x 4]");
  RowMatrix<float> memory = RowMatrix<float>::Constant(24, 9, 42.0f);
  refuses(memory.topRows(20), "out must be [20 x 5], got [20 x 9]");
  refuses(memory.col(2), "out must be [20 x 5], got [24 x 1]");
  refuses(Eigen::Map<RowMatrix<float>>(memory.data(), 5, 20), "out must be [20 x 5], got [5 x 20]");
  refuses(Eigen::Ref<RowMatrix<float>>(memory), "out must be [20 x 5], got [24 x 9]");

  takes(Eigen::Matrix<float, 20, 5>());
  takes(Eigen::Matrix<float, 20, 5, RowMajor>());
  takes(Eigen::Matrix<float, Dynamic, 5>());
  takes(Eigen::Matrix<float, 20, Dynamic, RowMajor>());
  takes(Eigen::Matrix<float, Dynamic, Dynamic, RowMajor, 20, 5>());
  takes(memory.transpose().block(1, 3, 5, 20).transpose());
  Inputs in;
  Eigen::VectorXf column;
  op.forward(in.q, in.k, in.v.leftCols(1), column);
  REQUIRE(difference(column, op(in.q, in.k, in.v.leftCols(1)), 0) == "");
  Eigen::RowVectorXf row;
  op.forward(in.q.topRows(1), in.k, in.v, row);
  REQUIRE(difference(row, op(in.q.topRows(1), in.k, in.v), 0) == "");
}

TEST_CASE("an output that shares memory with an input is refused", "[operator][inputs][errors]") {
  Inputs in;
  RowMatrix<float> x = in.k.leftCols(5);
  const RowMatrix<float> before = x;
  const auto refused = [&](const auto& q, const auto& k, const auto& v, auto&& out, const char* name) {
    REQUIRE_THROWS_WITH(op.forward(q, k, v, out), contains("NadarayaWatson::forward: out ") && contains(std::string(" must not share memory with ") + name));
    REQUIRE(difference(x, before, 0) == "");
  };
  const RowMatrix<float> other = in.v;
  refused(x, other, in.v, x, "query");
  refused(other, x, in.v, x, "key");
  refused(other, other, x, x, "value");
  refused(other, other, x.topRows(30), x, "value");
  refused(x.topRows(7), other, other, x.bottomRows(24).topRows(7), "query");
  refused(other.topRows(6), other, Eigen::Map<RowMatrix<float>>(x.data(), 30, 1), x.col(3).topRows(6), "value");
  RowMatrix<float> upside_down = x;
  REQUIRE_THROWS_WITH(op.forward(upside_down, other, other, upside_down.colwise().reverse()), contains("must not share memory with query"));
  // To be resized, and its memory given back.
  refused(other.topRows(3), other, x.leftCols(2), x, "value");
  Eigen::MatrixXf columns = x;
  REQUIRE_THROWS_AS(op.forward(columns, columns, columns, columns), std::invalid_argument);
  // Two rows in one place.
  REQUIRE_THROWS_WITH(op.forward(other, other, other, Eigen::Map<RowMatrix<float>, 0, Eigen::OuterStride<>>(x.data(), 30, 5, Eigen::OuterStride<>(4))), contains("out [30 x 5] must not have two elements in one place"));

  // Columns of one matrix interleave, and share nothing.
  RowMatrix<float> all(30, 9 + 9 + 5 + 5);
  all << in.k, in.k, in.v, in.v;
  op.forward(all.leftCols(9), all.middleCols(9, 9), all.middleCols(18, 5), all.rightCols(5));
  REQUIRE(difference(all.rightCols(5), op(in.k, in.k, in.v), 0) == "");
  Eigen::MatrixXf rows = all.transpose();
  op.forward(rows.topRows(9).transpose(), rows.middleRows(9, 9).transpose(), rows.middleRows(18, 5).transpose(), rows.bottomRows(5).transpose());
  REQUIRE(difference(rows.bottomRows(5).transpose(), op(in.k, in.k, in.v), 0) == "");
  // An expression is evaluated before the output is resized.
  const RowMatrix<float> expected = op(x.topRows(20) * 2.0f, other, other.leftCols(3));
  op.forward(x.topRows(20) * 2.0f, other, other.leftCols(3), x);
  REQUIRE(difference(x, expected, 0) == "");
}

TEST_CASE("a tape outlives the temporaries that it was made from", "[operator][inputs][lifetimes]") {
  Inputs in;
  RowMatrix<float> out;
  const auto expected = op.backward(op.forward(in.q, in.k, in.v, out), out);
  const auto litter = [] { return std::vector<RowMatrix<float>>(10, RowMatrix<float>::Constant(30, 9, -1.0f)); };
  const auto same_tape = [&](const Tape<float>& tape) {
    const auto more = litter();
    const auto grads = op.backward(tape, out);
    REQUIRE(difference(grads.query, expected.query, 0) == "");
    REQUIRE(difference(grads.key, expected.key, 0) == "");
    REQUIRE(difference(grads.value, expected.value, 0) == "");
  };
  using ConstRef = Eigen::Ref<const RowMatrix<float>>;
  const Eigen::MatrixXf q = in.q, k = in.k, v = in.v;
  RowMatrix<float> o;
  // A Ref of another order, of an expression, of what has another stride.
  same_tape(op.forward(ConstRef(q), ConstRef(k), ConstRef(v), o));
  same_tape(op.forward(ConstRef(in.q + 0.0f * in.q), ConstRef(in.k * 1.0f), ConstRef(in.v * 1.0f), o));
  RowMatrix<float> wide(30, 18);
  Eigen::Map<RowMatrix<float>, 0, Eigen::Stride<Eigen::Dynamic, 2>> spread(wide.data(), 30, 9, Eigen::Stride<Eigen::Dynamic, 2>(18, 2));
  spread = in.k;
  same_tape(op.forward(in.q, ConstRef(spread), in.v, o));
  // Views of such a Ref, and of a matrix that is a temporary itself.
  same_tape(op.forward(ConstRef(q).topRows(20), ConstRef(k).leftCols(9), ConstRef(v).middleRows(0, 30), o));
  same_tape(op.forward(RowMatrix<float>(in.q).topRows(20), RowMatrix<float>(in.k).leftCols(9), RowMatrix<float>(in.v).middleRows(0, 30), o));
  same_tape(op.forward(Eigen::MatrixXf(in.q.transpose()).transpose(), Eigen::MatrixXf(in.k.transpose()).transpose(), in.v, o));
  same_tape(op.forward(Eigen::Matrix<float, 20, 9, Eigen::RowMajor>(in.q), Eigen::Matrix<float, 30, 9, Eigen::RowMajor>(in.k).topRows(30), in.v, o));
  // A Ref that is a parameter, and gone when the tape is used.
  const auto forward = [&](const ConstRef& query, const ConstRef& key, ConstRef value) {
    return op.forward(query, key.topRows(30), value, o);
  };
  same_tape(forward(q, k, v));
  std::optional<Tape<float>> tape;
  {
    const ConstRef query(q), key(in.k);
    const auto part = query.topRows(20);
    tape = op.forward(part, key, in.v, o);
    REQUIRE(!tape->key().copied());
  }
  same_tape(*tape);
  // Copies and moves of tapes.
  Tape<float> copy = *tape;
  tape.reset();
  same_tape(copy);
  const Tape<float> moved = std::move(copy);
  same_tape(moved);
  REQUIRE(copy.queries() == 0);  // NOLINT(bugprone-use-after-move)
  REQUIRE(op.backward(copy, RowMatrix<float>(0, 0)).key.size() == 0);
  copy = moved;
  same_tape(copy);
}

TEST_CASE("a tape refers to what stays", "[operator][inputs][lifetimes]") {
  Inputs in;
  RowMatrix<float> out;
  const auto block = in.q.topRows(20);
  const Eigen::Ref<const RowMatrix<float>> ref(in.k);
  const auto tape = op.forward(block, ref, Eigen::Map<const RowMatrix<float>>(in.v.data(), 30, 5), out);
  REQUIRE(tape.query().data() == in.q.data());
  REQUIRE(tape.key().data() == in.k.data());
  REQUIRE(tape.value().data() == in.v.data());
  Eigen::Ref<RowMatrix<float>> writable(in.k);
  REQUIRE(op.forward(in.q, writable.topRows(30), in.v, out).key().data() == in.k.data());
}

TEST_CASE("more queries or keys than can be counted are refused before anything is allocated", "[operator][inputs][errors]") {
  Inputs in;
  const Index many = Index(1) << 31;
  const float number = 1.0f;
  using Repeated = Eigen::Map<const RowMatrix<float>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
  const Repeated rows(&number, many, 9, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(0, 0));
  const RowMatrix<float> nothing(many, 0);
  RowMatrix<float> out = in.v;
  const auto refused = [](const auto& call, const char* text) { REQUIRE_THROWS_WITH(call(), contains(text)); };
  refused([&] { op.forward(rows, in.k, in.v, out); }, "NadarayaWatson::forward: query has 2147483648 rows, more than 2^31 - 1");
  refused([&] { op(rows, in.k, in.v); }, "NadarayaWatson::operator(): query has 2147483648 rows, more than 2^31 - 1");
  refused([&] { op.weights(rows, in.k); }, "NadarayaWatson::weights: query has 2147483648 rows");
  refused([&] { op.forward(in.q, rows, rows, out); }, "NadarayaWatson::forward: key has 2147483648 rows");
  refused([&] { op(nothing, RowMatrix<float>(3, 0), in.v.topRows(3)); }, "query has 2147483648 rows");
  KeyValueCache<float> cache(9, 5);
  refused([&] { op(rows, cache); }, "query has 2147483648 rows");
  refused([&] { cache.append(rows, Repeated(&number, many, 5, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(0, 0))); }, "KeyValueCache::append: 0 and 2147483648 rows are more than 2^31 - 1");
  refused([&] { cache.reserve(many); }, "KeyValueCache::reserve: 2147483648 rows");
  REQUIRE(difference(out, in.v, 0) == "");
}

TEST_CASE("an executor that cannot execute is refused before anything is written", "[operator][inputs][errors]") {
  Inputs in;
  RowMatrix<float> out = RowMatrix<float>::Constant(3, 4, 42.0f);
  const RowMatrix<float> before = out;
  const Workspace<float, Threads> workspace(Threads{0});
  const auto refused = [&](const auto& executor) {
    const auto throws = [&](const auto& call) { REQUIRE_THROWS_WITH(call(), contains("Threads: count must be at least 1, got ")); };
    throws([&] { op.forward(in.q, in.k, in.v, out, executor); });
    throws([&] { op.forward(in.q.topRows(0), in.k, in.v, out, executor); });
    throws([&] { op(in.q, in.k, in.v, executor); });
    throws([&] { op.weights(in.q, in.k, executor); });
    RowMatrix<float> o;
    const auto tape = op.forward(in.q, in.k, in.v, o);
    throws([&] { op.backward(tape, o, executor); });
    KeyValueCache<float> cache(9, 5);
    cache.append(in.k, in.v);
    throws([&] { op(in.q, cache, executor); });
    REQUIRE(difference(out, before, 0) == "");
  };
  refused(Threads{0});
  refused(Threads{-3});
  refused(workspace);
  REQUIRE_THROWS_AS(AnyExecutor(Threads{0}), std::invalid_argument);
}

TEST_CASE("weights do not depend on the executor", "[operator][inputs][threads]") {
  test::Random random(9);
  const auto q = random.normal<float>(6400, 4), k = random.normal<float>(7, 4);
  const auto serial = op.weights(q, k);
  const auto threaded = op.weights(q, k, Threads{3});
  REQUIRE(serial.nonZeros() == threaded.nonZeros());
  REQUIRE(serial.isCompressed() == threaded.isCompressed());
  REQUIRE(RowMatrix<float>(serial) == RowMatrix<float>(threaded));
}
