// A similarity of one's own, of which the engine knows nothing, gives what the same built-in one does.
#include <nadaraya/nadaraya.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <limits>

using namespace nadaraya;
using test::difference;

namespace {

/// Only what a similarity must have.
struct PlainProduct {
  template <class Q, class K>
  typename Q::Scalar score(const Q& q, const K& k) const {
    return q.dot(k);
  }
  template <class Q, class K, class S, class GradQ, class GradK>
  void pullback(const Q& q, const K& k, const S& dz, GradQ&& grad_q, GradK&& grad_k) const {
    grad_q += dz * k;
    grad_k += dz * q;
  }
};

template <class T, class K>
void check() {
  test::Random random(8);
  const RowMatrix<T> q = random.normal<T>(100, 5), k = random.normal<T>(150, 5), v = random.normal<T>(150, 3);
  const RowMatrix<T> grad = random.normal<T>(100, 3);
  const NadarayaWatson own(K{}, Adaptive{}, PlainProduct{}, Causal{});
  const NadarayaWatson built_in(K{}, Adaptive{}, DotProduct{1.0}, Causal{});
  RowMatrix<T> out, expected;
  const auto tape = own.forward(q, k, v, out);
  const auto expected_tape = built_in.forward(q, k, v, expected);
  const long double allowed = 2000 * std::numeric_limits<T>::epsilon();
  REQUIRE(difference(out, expected, allowed) == "");
  const auto grads = own.backward(tape, grad);
  const auto expected_grads = built_in.backward(expected_tape, grad);
  REQUIRE(difference(grads.query, expected_grads.query, allowed, 10 * allowed) == "");
  REQUIRE(difference(grads.key, expected_grads.key, allowed, 10 * allowed) == "");
  REQUIRE(difference(grads.value, expected_grads.value, allowed, 10 * allowed) == "");
}

}  // namespace

TEMPLATE_TEST_CASE("a similarity of one's own is regressed with and pulled back through", "[gradients]", float, double) {
  SECTION("sparse") { check<TestType, Biweight>(); }
  SECTION("dense") { check<TestType, Gaussian>(); }
}
