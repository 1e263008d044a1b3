// The table of special values, row by row (examples/guide/numerics.md, "Special values").
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/message.hpp"
#include "tests/support/policies.hpp"
#include "tests/support/random.hpp"

#include <Eigen/SparseCore>
#include <limits>

using namespace nadaraya;
using test::difference;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

struct Inputs {
  test::Random random{21};
  RowMatrix<double> q = random.normal<double>(6, 3);
  RowMatrix<double> k = random.normal<double>(6, 3);
  RowMatrix<double> v = random.normal<double>(6, 2);
  RowMatrix<double> g = random.normal<double>(6, 2);
};

bool row_is_nan(const RowMatrix<double>& m, Index i) { return m.row(i).array().isNaN().all(); }
bool row_is_finite(const RowMatrix<double>& m, Index i) { return m.row(i).array().isFinite().all(); }

/// Runs `f` with one operator of each kind.
template <class F>
void with_every_operator(const F& f) {
  f("softmax", NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, Causal{}});
  f("sparsemax", NadarayaWatson{Epanechnikov{}, Adaptive{}, DotProduct{}, Causal{}});
  f("1.5-entmax", NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{}, Causal{}});
  f("1.4-entmax", NadarayaWatson{RectifiedPower::with_exponent(2.5), Adaptive{}, DotProduct{}, Causal{}});
  f("3-entmax", NadarayaWatson{RectifiedPower::with_exponent(0.5), Adaptive{}, DotProduct{}, Causal{}});
  f("fixed", NadarayaWatson{Biweight{}, FixedBandwidth{2.0}, SquaredDistance{}, Causal{}});
  f("fixed uniform", NadarayaWatson{Uniform{}, FixedBandwidth{2.0}, SquaredDistance{}, Causal{}});
  f("fixed Gaussian", NadarayaWatson{Gaussian{}, FixedBandwidth{2.0}, SquaredDistance{}, Causal{}});
  f("unnormalized", NadarayaWatson{Biweight{}, Unnormalized{2.0, 1.0}, Cosine{}, Causal{}});
  f("ReLUmax", NadarayaWatson{Epanechnikov{}, Anchored{1.0}, DotProduct{}, Causal{}});
  f("top-k softmax", NadarayaWatson{Gaussian{}, NearestNeighbors{2}, DotProduct{}, Causal{}});
  f("top-k uniform", NadarayaWatson{Uniform{}, NearestNeighbors{2}, DotProduct{}, Causal{}});
  f("nearest biweight", NadarayaWatson{Biweight{}, NearestNeighbors{2}, SquaredDistance{}, Causal{}});
}

}  // namespace

TEST_CASE("no visible key: zero output, zero gradient, counted", "[special]") {
  Inputs in;
  const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{}, StrictlyCausal{}};
  RowMatrix<double> out;
  const auto tape = op.forward(in.q, in.k, in.v, out);
  const auto grads = op.backward(tape, in.g);
  REQUIRE(tape.empty_rows() == 1);
  REQUIRE(tape.support_size(0) == 0);
  REQUIRE(out.row(0).isZero(0));
  REQUIRE(grads.query.row(0).isZero(0));
  REQUIRE(grads.query.allFinite());
  REQUIRE(grads.key.row(5).isZero(0));
}

TEST_CASE("no key within the bandwidth: zero output, zero gradient, counted", "[special]") {
  Inputs in;
  in.q.row(2).setConstant(100.0);
  const NadarayaWatson op{Triweight{}, FixedBandwidth{3.0}, SquaredDistance{}};
  RowMatrix<double> out;
  const auto tape = op.forward(in.q, in.k, in.v, out);
  const auto grads = op.backward(tape, in.g);
  REQUIRE(tape.support_size(2) == 0);
  REQUIRE(tape.empty_rows() >= 1);
  REQUIRE(out.row(2).isZero(0));
  REQUIRE(grads.query.row(2).isZero(0));
  REQUIRE(grads.key.allFinite());
}

TEST_CASE("a query far from every key keeps its Gaussian answer where weights underflow", "[special]") {
  Inputs in;
  in.q.row(2).setConstant(1000.0);
  const RowMatrix<double> out = attend(Gaussian{}, FixedBandwidth{0.1}, SquaredDistance{}, in.q, in.k, in.v);
  Index nearest = 0;
  (in.k.rowwise() - in.q.row(2)).rowwise().squaredNorm().minCoeff(&nearest);
  REQUIRE(difference(out.row(2), in.v.row(nearest), 1e-15L) == "");
}

TEST_CASE("NaN in a masked key or value reaches nothing", "[special]") {
  with_every_operator([](const char* name, const auto& op) {
    INFO(name);
    Inputs clean;
    Inputs dirty;
    dirty.k.row(5).setConstant(not_a_number);  // causal: only query 5 sees key 5
    dirty.v.row(5).setConstant(not_a_number);
    RowMatrix<double> clean_out, dirty_out;
    const auto clean_tape = op.forward(clean.q.topRows(6), clean.k, clean.v, clean_out);
    const auto dirty_tape = op.forward(dirty.q, dirty.k, dirty.v, dirty_out);
    REQUIRE(difference(dirty_out.topRows(5), clean_out.topRows(5), 0) == "");
    clean.g.row(5).setZero();
    const auto clean_grads = op.backward(clean_tape, clean.g);
    const auto dirty_grads = op.backward(dirty_tape, clean.g);
    REQUIRE(difference(dirty_grads.query.topRows(5), clean_grads.query.topRows(5), 0) == "");
  });
}

TEST_CASE("NaN in a live key makes exactly the rows that see it NaN", "[special]") {
  with_every_operator([](const char* name, const auto& op) {
    INFO(name);
    Inputs in;
    in.k(3, 1) = not_a_number;
    const RowMatrix<double> out = op(in.q, in.k, in.v);
    for (Index i = 0; i < 3; ++i) REQUIRE(row_is_finite(out, i));
    for (Index i = 3; i < 6; ++i) REQUIRE(row_is_nan(out, i));
  });
}

TEST_CASE("NaN in a query makes exactly its row NaN, in output and gradient", "[special]") {
  with_every_operator([](const char* name, const auto& op) {
    INFO(name);
    Inputs in;
    in.q(3, 0) = not_a_number;
    RowMatrix<double> out;
    const auto tape = op.forward(in.q, in.k, in.v, out);
    const auto grads = op.backward(tape, in.g);
    for (Index i = 0; i < 6; ++i) {
      REQUIRE((i == 3 ? row_is_nan(out, i) : row_is_finite(out, i)));
      REQUIRE((i == 3 ? row_is_nan(grads.query, i) : row_is_finite(grads.query, i)));
      // Query 3 sees keys 0 to 3, and its NaN weights reach their gradients and no others.
      REQUIRE((i <= 3 ? row_is_nan(grads.key, i) : row_is_finite(grads.key, i)));
    }
  });
}

TEST_CASE("a value outside the support is not read", "[special]") {
  Inputs in;
  const NadarayaWatson op{Epanechnikov{}, Adaptive{}, DotProduct{.scale = 4.0}};
  const RowMatrix<double> weights = op.weights(in.q, in.k);
  RowMatrix<double> expected;
  op.forward(in.q, in.k, in.v, expected);
  for (Index j = 0; j < 6; ++j) {
    RowMatrix<double> v = in.v;
    v.row(j).setConstant(not_a_number);
    RowMatrix<double> out;
    const auto tape = op.forward(in.q, in.k, v, out);
    const auto grads = op.backward(tape, in.g);
    for (Index i = 0; i < 6; ++i) {
      if (weights(i, j) > 0) {
        REQUIRE(row_is_nan(out, i));
      } else {
        REQUIRE(difference(out.row(i), expected.row(i), 0) == "");
        REQUIRE(row_is_finite(grads.query, i));
      }
    }
  }
  REQUIRE((weights.array() == 0).any());
}

TEST_CASE("infinite distance is weight zero", "[special]") {
  Inputs in;
  in.k(4, 0) = infinity;
  for (const double h : {2.0, 3.0}) {
    const NadarayaWatson op{Biweight{}, FixedBandwidth{h}, SquaredDistance{}};
    const RowMatrix<double> out = op(in.q, in.k, in.v);
    REQUIRE(out.allFinite());
    REQUIRE(RowMatrix<double>(op.weights(in.q, in.k)).col(4).isZero(0));
  }
  const RowMatrix<double> softmax = attend(Gaussian{}, Adaptive{}, SquaredDistance{}, in.q, in.k, in.v);
  REQUIRE(softmax.allFinite());
}

TEST_CASE("a bias of minus infinity hides a key, and hides a row if it hides all", "[special]") {
  Inputs in;
  const auto bias = [](Index i, Index j) { return i == 1 || j == 4 ? -infinity : 0.0; };
  const NadarayaWatson biased{Biweight{}, Adaptive{}, DotProduct{}, AdditiveBias{bias}};
  const NadarayaWatson masked{Biweight{}, Adaptive{}, DotProduct{},
                              BooleanMask{[](Index i, Index j) { return i != 1 && j != 4; }}};
  RowMatrix<double> out;
  const auto tape = biased.forward(in.q, in.k, in.v, out);
  REQUIRE(difference(out, masked(in.q, in.k, in.v), 0) == "");
  REQUIRE(tape.empty_rows() == 1);
  REQUIRE(biased.backward(tape, in.g).key.allFinite());
}

TEST_CASE("a zero row under the cosine has no direction and passes no gradient", "[special]") {
  Inputs in;
  in.q.row(1).setZero();
  in.k.row(2).setZero();
  const NadarayaWatson op{Biweight{}, Adaptive{}, Cosine{.scale = 3.0}};
  RowMatrix<double> out;
  const auto tape = op.forward(in.q, in.k, in.v, out);
  const auto grads = op.backward(tape, in.g);
  REQUIRE(difference(out, reference::attend<long double>(op, in.q, in.k, in.v), 1e-12L) == "");
  REQUIRE(grads.query.row(1).isZero(0));
  REQUIRE(grads.key.row(2).isZero(0));
  REQUIRE(grads.query.allFinite());
}

TEST_CASE("sizes of zero are defined", "[special]") {
  with_every_operator([](const char* name, const auto& op) {
    INFO(name);
    const auto sizes = {0, 1, 3};
    for (const Index queries : sizes) {
      for (const Index keys : sizes) {
        for (const Index dimension : sizes) {
          for (const Index values : sizes) {
            test::Random random(2);
            const auto q = random.normal<double>(queries, dimension);
            const auto k = random.normal<double>(keys, dimension);
            const auto v = random.normal<double>(keys, values);
            const auto g = random.normal<double>(queries, values);
            RowMatrix<double> out;
            const auto tape = op.forward(q, k, v, out);
            const auto grads = op.backward(tape, g);
            REQUIRE(difference(out, reference::attend<long double>(op, q, k, v), 1e-12L) == "");
            REQUIRE(grads.query.rows() == queries);
            REQUIRE(grads.query.cols() == dimension);
            REQUIRE(grads.key.rows() == keys);
            REQUIRE(grads.value.cols() == values);
            REQUIRE(op.weights(q, k).rows() == queries);
            if (keys == 0) {
              REQUIRE(tape.empty_rows() == queries);
              REQUIRE(out.isZero(0));
            }
          }
        }
      }
    }
  });
}

TEST_CASE("a parameter without meaning is refused before anything is written", "[special][errors]") {
  Inputs in;
  const auto refuses = [&](const auto& op) {
    RowMatrix<double> out = RowMatrix<double>::Constant(6, 2, 42.0);
    REQUIRE_THROWS_AS(op.forward(in.q, in.k, in.v, out), std::invalid_argument);
    REQUIRE((out.array() == 42.0).all());
    REQUIRE_THROWS_AS(op(in.q, in.k, in.v), std::invalid_argument);
    REQUIRE_THROWS_AS(op.weights(in.q, in.k), std::invalid_argument);
  };
  for (const double bad : {0.0, -1.0, not_a_number, infinity, 1e-200}) {
    refuses(NadarayaWatson{Biweight{}, FixedBandwidth{bad}, SquaredDistance{}});
    refuses(NadarayaWatson{Biweight{}, Unnormalized{bad, 1.0}, SquaredDistance{}});
    refuses(NadarayaWatson{Biweight{}, Anchored{bad}});
    if (!(bad == 1e-200)) {
      refuses(NadarayaWatson{Biweight{}, Unnormalized{1.0, bad}, SquaredDistance{}});
      refuses(NadarayaWatson{Biweight{}, Adaptive{}, SquaredDistance{bad}});
      refuses(NadarayaWatson{Biweight{}, Adaptive{}, Cosine{bad}});
      REQUIRE_THROWS_AS(RectifiedPower::with_exponent(bad), std::invalid_argument);
    }
  }
  refuses(NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{not_a_number}});
  refuses(NadarayaWatson{Gaussian{}, NearestNeighbors{0}});
  refuses(NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, SlidingWindow{0}});
  refuses(NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, KeyLengths{7}});
  refuses(NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, KeyLengths{std::vector<Index>{1, 2}}});
  const Eigen::Matrix<bool, Eigen::Dynamic, Eigen::Dynamic> small(2, 2);
  refuses(NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, BooleanMask{small}});
  refuses(NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, BooleanMask{std::cref(small)}});
  const Eigen::MatrixXd biases = Eigen::MatrixXd::Zero(6, 5);
  refuses(NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, AdditiveBias{biases}});
}

TEST_CASE("a wrong shape is refused by name", "[special][errors]") {
  Inputs in;
  const NadarayaWatson op{Biweight{}};
  RowMatrix<double> out;
  using test::message;
  using catch_shim::contains;
  REQUIRE_THAT(message([&] { op.forward(in.q, in.k.leftCols(2), in.v, out); }),
               contains("NadarayaWatson::forward: query and key") && contains("[6 x 3] and [6 x 2]"));
  REQUIRE_THAT(message([&] { op(in.q, in.k, in.v.topRows(5)); }),
               contains("NadarayaWatson::operator(): key and value") && contains("[6 x 3] and [5 x 2]"));
  RowMatrix<double> fixed_shape(5, 2);
  REQUIRE_THAT(message([&] { op.forward(in.q, in.k, in.v, fixed_shape.topRows(5)); }),
               contains("out must be [6 x 2]") && contains("[5 x 2]"));
  const auto tape = op.forward(in.q, in.k, in.v, out);
  REQUIRE_THAT(message([&] { op.backward(tape, in.g.topRows(4)); }),
               contains("grad_out must be [6 x 2]") && contains("[4 x 2]"));
}
