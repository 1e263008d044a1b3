// Operators chosen at run time compute what Attention computes, bit for bit, and refuse what does not compile there.
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/any_attention.hpp>
#include <nadaraya/any_mask_intersection.hpp>
#include <nadaraya/chosen_operator.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <stdexcept>
#include <vector>

using namespace nadaraya;

namespace {

constexpr Index batch = 2, heads = 4, key_heads = 2, queries = 37, keys = 41, dim = 6;

template <class Scalar>
struct Arrays {
  test::Random random{7};
  RowMatrix<Scalar> q = random.template normal<Scalar>(batch * heads * queries, dim), k = random.template normal<Scalar>(batch * key_heads * keys, dim),
                    v = random.template normal<Scalar>(batch * key_heads * keys, dim), g = random.template normal<Scalar>(batch * heads * queries, dim);
};

template <class T, class M>
HeadView<T> of_queries(M& m) {
  return HeadView<T>::bhnd(m.data(), batch, heads, queries, dim);
}
template <class T, class M>
HeadView<T> of_keys(M& m) {
  return HeadView<T>::bhnd(m.data(), batch, key_heads, keys, dim);
}

template <class Scalar>
struct Results {
  RowMatrix<Scalar> out{batch * heads * queries, dim}, q{batch * heads * queries, dim}, k{batch * key_heads * keys, dim},
      v{batch * key_heads * keys, dim};
};

/// The operator with `mask`, and that with `any_mask`.
template <class Scalar, class K, class N, class S, class M>
void same(const K& kernel, const N& normalization, const S& similarity, const M& mask, const AnyMask<Scalar>& any_mask) {
  Arrays<Scalar> in;
  Results<Scalar> a, b;
  const Attention attention(kernel, normalization, similarity, mask);
  const AnySimilarity<Scalar> by(similarity);
  const ChosenOperator<Scalar> chosen(AnyRule<Scalar>(kernel, normalization, by), by, any_mask);
  const AnyAttention<Scalar> any({&chosen});
  const auto q = of_queries<const Scalar>(in.q), g = of_queries<const Scalar>(in.g);
  const auto k = of_keys<const Scalar>(in.k), v = of_keys<const Scalar>(in.v);
  const auto tape = attention.forward(q, k, v, of_queries<Scalar>(a.out));
  const auto other = any.forward(q, k, v, of_queries<Scalar>(b.out), Packed::one(queries, keys));
  const auto grads = attention.backward(tape, g, of_queries<Scalar>(a.q), of_keys<Scalar>(a.k), of_keys<Scalar>(a.v));
  const auto sums = any.backward(other, g, of_queries<Scalar>(b.q), of_keys<Scalar>(b.k), of_keys<Scalar>(b.v));
  REQUIRE(a.out == b.out);
  REQUIRE(a.q == b.q);
  REQUIRE(a.k == b.k);
  REQUIRE(a.v == b.v);
  REQUIRE(grads.size() == sums.size());
  for (std::size_t h = 0; h < sums.size(); ++h) {
    if constexpr (requires { grads[h].scale; }) REQUIRE(grads[h].scale == Scalar(sums[h].scale));
    if constexpr (requires { grads[h].bandwidth; }) REQUIRE(grads[h].bandwidth == Scalar(sums[h].bandwidth));
    if constexpr (requires { grads[h].alpha; }) REQUIRE(grads[h].alpha == Scalar(sums[h].alpha));
  }
}

template <class Scalar, class K, class N, class S, class M>
void same(const K& kernel, const N& normalization, const S& similarity, const M& mask) {
  same<Scalar>(kernel, normalization, similarity, mask, AnyMask<Scalar>(mask));
}

/// A bias with a parameter.
struct Shift {
  double operator()(Index, Index) const { return 0.1; }
  template <class S>
  S zero_gradient() const {
    return S(0);
  }
  template <class S, class G>
  void bias_pullback(Index, Index, const Extent&, const S& dz, G& sum) const {
    sum += dz;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("masks chosen at run time intersect", "[chosen_operator]", float, double) {
  using Any = AnyMask<TestType>;
  const BooleanMask holes{[](Index i, Index j) { return (i + 2 * j) % 3 != 0; }};
  const AdditiveBias slope{Alibi{0.2}};
  same<TestType>(Biweight{}, Adaptive{}, DotProduct{}, Causal{} & holes & slope, Any(Causal{}) & Any(holes) & Any(slope));
  same<TestType>(Gaussian{}, Adaptive{}, DotProduct{}, SlidingWindow{9} & KeyLengths{30},
                 Any(SlidingWindow{9}) & Any(KeyLengths{30}));
  REQUIRE_THROWS_AS(Any(Causal{}) & Any(AdditiveBias{Shift{}}), std::invalid_argument);
}

TEMPLATE_TEST_CASE("a chosen operator is the one of its types", "[chosen_operator]", float, double) {
  same<TestType>(Biweight{}, Adaptive{}, DotProduct{}, Causal{});
  same<TestType>(RectifiedPower::with_alpha(1.3), Adaptive{}, Cosine{2.0}, NoMask{});
  same<TestType>(Epanechnikov{}, FixedBandwidth{2.5}, SquaredDistance{}, SlidingWindow{9});
  same<TestType>(Gaussian{}, NearestNeighbors{5}, DotProduct{}, StrictlyCausal{});
}

TEST_CASE("a chosen operator refuses what its types would", "[chosen_operator][errors]") {
  const AnySimilarity<double> dot(DotProduct{}), distance(SquaredDistance{});
  REQUIRE_THROWS_AS((AnyRule<double>(Epanechnikov{}, FixedBandwidth{1.0}, dot)), std::invalid_argument);
  REQUIRE_THROWS_AS((AnyRule<double>(Epanechnikov{}, NearestNeighbors{3}, dot)), std::invalid_argument);
  REQUIRE_THROWS_AS((AnyRule<double>(Gaussian{}, NearestNeighbors{0}, dot)), std::invalid_argument);
  REQUIRE_THROWS_AS((AnyRule<double>(Epanechnikov{}, FixedBandwidth{-1.0}, distance)), std::invalid_argument);
  REQUIRE_THROWS_AS((AnySimilarity<double>(SquaredDistance{0.0})), std::invalid_argument);
  REQUIRE_NOTHROW(AnyRule<double>(Gaussian{}, NearestNeighbors{3}, dot));

  const AnyMask<double> bias(AdditiveBias{[](Index i, Index j) { return double(i - j); }});
  const AnyRule<double> adaptive(Epanechnikov{}, Adaptive{}, dot), fixed(Epanechnikov{}, FixedBandwidth{1.0}, distance);
  REQUIRE_NOTHROW(ChosenOperator<double>(adaptive, dot, bias));
  REQUIRE_THROWS_AS(ChosenOperator<double>(fixed, distance, bias), std::invalid_argument);

  Arrays<double> in;
  Results<double> result;
  const ChosenOperator<double> lengths(adaptive, dot, AnyMask<double>(KeyLengths{{1, 2}}));
  const AnyAttention<double> attention({&lengths});
  REQUIRE_THROWS_AS(attention.forward(of_queries<const double>(in.q), of_keys<const double>(in.k), of_keys<const double>(in.v),
                                      of_queries<double>(result.out), Packed::one(queries, keys)),
                    std::invalid_argument);
}
