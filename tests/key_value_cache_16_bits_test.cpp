// A cache that stores 16 bits gives the bits that a cache of floats gives for the rounded numbers.
#include <nadaraya/definitions.hpp>
#include <nadaraya/nadaraya.hpp>
#include <nadaraya/simd/int_dot_isa.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

using namespace nadaraya;
using test::difference;

namespace {

constexpr Index D = 20, Dv = 7;
constexpr float infinity = std::numeric_limits<float>::infinity();

template <class Stored>
RowMatrix<float> rounded(const RowMatrix<float>& x) {
  return x.cast<Stored>().template cast<float>();
}

/// Operators for every way to score and to mix, on caches that grow, forget and shrink, some with numbers that are not finite.
template <class Stored, class Op>
void check(const Op& op, Screening screening, bool finite, long double tolerance = 0) {
  test::Random random(4);
  RowMatrix<float> k = random.normal<float>(1500, D), v = random.normal<float>(1500, Dv);
  const RowMatrix<float> q = random.normal<float>(130, D, 2.0);
  k.row(300) *= 200.0f;  // a panel that is not screened
  if (!finite) {
    v(90, 1) = infinity;
    v(950, 2) = std::numeric_limits<float>::quiet_NaN();
    v(951, 3) = 1e30f;  // infinite as half
    k(1300, 3) = -infinity;
  }
  using S = std::remove_cvref_t<decltype(op.similarity())>;
  KeyValueCache<Stored, S> narrow(D, Dv, screening);
  KeyValueCache<float, S> wide(D, Dv, screening);
  const auto same = [&] {
    for (const Index queries : {1, 3, test::sanitized ? 30 : 130}) {
      CAPTURE(narrow.rows(), queries, finite);
      REQUIRE(difference(op(q.topRows(queries), narrow), op(q.topRows(queries), wide), tolerance) == "");
    }
  };
  const auto append = [&](Index first, Index count) {
    narrow.append(k.middleRows(first, count), v.middleRows(first, count));
    wide.append(rounded<Stored>(k.middleRows(first, count)), rounded<Stored>(v.middleRows(first, count)));
    same();
  };
  append(0, 70);
  append(70, 530);
  narrow.forget_oldest(333);
  wide.forget_oldest(333);
  append(600, 1);
  append(601, 899);
  narrow.truncate(800);
  wide.truncate(800);
  same();
  REQUIRE(difference(narrow.values().template cast<float>(), wide.values(), 0) == "");
}

template <class Stored>
void check_all() {
  for (const bool finite : {true, false}) {
    for (const Screening screening : {Screening::never, Screening::always}) {
      check<Stored>(NadarayaWatson{Biweight{}}, screening, finite);
      check<Stored>(NadarayaWatson{Gaussian{}}, screening, finite);
    }
    check<Stored>(NadarayaWatson{Biweight{}, Adaptive{}, DotProduct{0.003}, Causal{}}, Screening::always, finite);
    check<Stored>(NadarayaWatson{Gaussian{}, NearestNeighbors{200}}, Screening::never, finite);
    // Sums that Eigen forms depend on where rows lie.
    check<Stored>(NadarayaWatson{Triweight{}, FixedBandwidth{8.0}, SquaredDistance{}}, Screening::never, finite, 1e-5L);
  }
}

}  // namespace

TEST_CASE("a cache of bfloat16 is one of the rounded floats", "[cache]") { check_all<Eigen::bfloat16>(); }
TEST_CASE("a cache of half is one of the rounded floats", "[cache]") { check_all<Eigen::half>(); }

TEST_CASE("numbers of 16 bits are widened exactly", "[cache]") {
  for (const Index n : {1, 15, 16, 33}) {
    std::vector<std::uint16_t> bits(std::size_t(n), 0);
    std::vector<float> by_half(std::size_t(n) + 1, 7.0f), by_bfloat16(std::size_t(n) + 1, 7.0f);
    for (std::uint32_t first = 0; first < 65536; first += std::uint32_t(n)) {
      for (std::size_t i = 0; i < std::size_t(n); ++i) bits[i] = static_cast<std::uint16_t>(first + i);
      engine::loops<float>().widen_half(bits.data(), n, by_half.data());
      engine::loops<float>().widen_bfloat16(bits.data(), n, by_bfloat16.data());
      for (std::size_t i = 0; i < std::size_t(n); ++i) {
        const auto same = [](float a, float b) { return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0; };
        if (same(by_half[i], static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(bits[i]))) &&
            same(by_bfloat16[i], static_cast<float>(Eigen::numext::bit_cast<Eigen::bfloat16>(bits[i])))) {
          continue;
        }
        CAPTURE(bits[i], by_half[i], by_bfloat16[i]);
        REQUIRE(false);
      }
    }
    REQUIRE((by_half.back() == 7.0f && by_bfloat16.back() == 7.0f));
  }
}

TEST_CASE("16 bits take half the memory, also while a query reads them", "[cache]") {
  constexpr Index rows = 4000, cols = 64;
  test::Random random(2);
  const RowMatrix<float> x = random.normal<float>(rows, cols), q = random.normal<float>(1, cols, 2.0);
  constexpr std::size_t floats = std::size_t(2 * rows * cols) * sizeof(float);
  KeyValueCache<float> wide(cols, cols, Screening::never);
  KeyValueCache<Eigen::bfloat16> narrow(cols, cols, Screening::never), screened(cols, cols, Screening::always);
  const std::size_t of_wide = test::bytes_allocated_in([&] { wide.reserve(rows); });
  const std::size_t of_narrow = test::bytes_allocated_in([&] { narrow.reserve(rows); });
  REQUIRE(of_wide >= floats);
  REQUIRE(of_narrow <= of_wide / 2 + 1024);
  // With the codes by which keys are screened, of a byte or, with AVX2 alone, of two.
  const std::size_t codes = simd::int_dot_isa() == simd::IntDotIsa::avx2 ? floats / 4 : floats / 8;
  REQUIRE(test::bytes_allocated_in([&] { screened.reserve(rows); }) <= floats / 2 + codes + floats / 32);
  // Rows that are appended in 16 bits are not copied on the way.
  const RowMatrix<Eigen::bfloat16> stored = x.cast<Eigen::bfloat16>();
  const std::size_t appended = test::bytes_allocated_in([&] { narrow.append(stored, stored); });
  REQUIRE(appended <= 2 * floats);
  screened.append(stored, stored);
  REQUIRE(test::bytes_allocated_in([&] { NadarayaWatson{Biweight{}}(q, screened); }) <= floats / 8);
  REQUIRE(test::bytes_allocated_in([&] { NadarayaWatson{Gaussian{}}(q, narrow); }) <= floats / 4);
}

TEST_CASE("a cache of 16 bits takes floats and its own rows, and is unchanged where memory runs out", "[cache][errors]") {
  test::Random random(3);
  const RowMatrix<float> k = random.normal<float>(200, D);
  RowMatrix<float> v = random.normal<float>(200, Dv);
  v(120, 2) = 1e30f;
  const NadarayaWatson op{Biweight{}};
  const RowMatrix<float> q = random.normal<float>(3, D, 2.0);
  for (const Index rows : {0, 100}) {
    KeyValueCache<Eigen::half> cache(D, Dv, Screening::always);
    cache.append(k.topRows(rows), v.topRows(rows));
    KeyValueCache<Eigen::half> before = cache, after = cache;
    after.append(k.bottomRows(200 - rows), v.bottomRows(200 - rows));
    const RowMatrix<float> out_before = op(q, before), out_after = op(q, after);
    for (long n = 0; test::fails_at(n, [&] { cache.append(k.bottomRows(200 - rows), v.bottomRows(200 - rows)); }); ++n) {
      REQUIRE(cache.rows() == rows);
      REQUIRE(difference(op(q, cache), out_before, 0) == "");
    }
    REQUIRE(difference(op(q, cache), out_after, 0) == "");
    before.append(cache.keys(), cache.values());
    cache.append(cache.keys().middleRows(150, 3), cache.values().middleRows(20, 3));
    REQUIRE(cache.keys().row(201) == cache.keys().row(151));
    REQUIRE(before.rows() == rows + 200);
  }
}

TEST_CASE("heads of a layer may be stored in 16 bits", "[cache]") {
  test::Random random(5);
  const RowMatrix<float> k = random.normal<float>(2 * 90, D), v = random.normal<float>(2 * 90, Dv), q = random.normal<float>(4 * 5, D, 2.0);
  const RowMatrix<Eigen::bfloat16> stored_k = k.cast<Eigen::bfloat16>();
  LayerCache<Eigen::bfloat16> narrow(1, 2, D, Dv);
  LayerCache<float> wide(1, 2, D, Dv);
  const RowMatrix<float> rounded_k = rounded<Eigen::bfloat16>(k), rounded_v = rounded<Eigen::bfloat16>(v);
  narrow.append(HeadView<const Eigen::bfloat16>::bhnd(stored_k.data(), 1, 2, 90, D), HeadView<const float>::bhnd(v.data(), 1, 2, 90, Dv));
  wide.append(HeadView<const float>::bhnd(rounded_k.data(), 1, 2, 90, D), HeadView<const float>::bhnd(rounded_v.data(), 1, 2, 90, Dv));
  narrow.forget_oldest(0, 30);
  wide.forget_oldest(0, 30);
  const Attention op{Epanechnikov{}, Adaptive{}, DotProduct{}, Causal{}};
  RowMatrix<float> by_narrow(4 * 5, Dv), by_wide(4 * 5, Dv);
  const auto query = HeadView<const float>::bhnd(q.data(), 1, 4, 5, D);
  op(query, narrow, HeadView<float>::bhnd(by_narrow.data(), 1, 4, 5, Dv), Threads{2});
  op(query, wide, HeadView<float>::bhnd(by_wide.data(), 1, 4, 5, Dv));
  REQUIRE(difference(by_narrow, by_wide, 0) == "");
}

TEST_CASE("inputs of 16 bits are read as the floats of their values", "[attention]") {
  constexpr Index batch = 2, heads = 4, key_heads = 2, tokens = 130, keys = 600;
  using Half = Eigen::half;
  using Brain = Eigen::bfloat16;
  test::Random random(6);
  const RowMatrix<Half> q = random.normal<float>(batch * heads * tokens, D, 2.0).cast<Half>();
  const RowMatrix<Brain> k = random.normal<float>(batch * key_heads * keys, D).cast<Brain>();
  const RowMatrix<Half> v = random.normal<float>(batch * key_heads * keys, Dv).cast<Half>();
  const RowMatrix<float> qf = q.cast<float>(), kf = k.cast<float>(), vf = v.cast<float>();
  RowMatrix<float> out(batch * heads * tokens, Dv), expected(batch * heads * tokens, Dv);
  const auto of = [](auto& x, Index h, Index n) {
    using T = ScalarOf<decltype(x)>;
    return HeadView<const T>::bhnd(x.data(), batch, h, n, x.cols());
  };
  const auto check = [&](const auto& op, const Packed& sequences) {
    const auto to = [&](RowMatrix<float>& x) { return HeadView<float>::bhnd(x.data(), batch, heads, tokens, Dv); };
    op(of(q, heads, tokens), of(k, key_heads, keys), of(v, key_heads, keys), to(out), sequences, Threads{2});
    op(of(qf, heads, tokens), of(kf, key_heads, keys), of(vf, key_heads, keys), to(expected), sequences);
    REQUIRE(difference(out, expected, 3e-5L) == "");
    op(of(qf, heads, tokens), of(k, key_heads, keys), of(vf, key_heads, keys), to(expected), sequences);
    REQUIRE(difference(out, expected, 0) == "");
  };
  for (const Packed& sequences : {Packed::one(tokens, keys), Packed({0, 2, 100, 130}, {0, 80, 80, 600}), Packed::padded({7, 130}, {300, 20})}) {
    check(Attention{Biweight{}, Adaptive{}, DotProduct{}, Causal{}}, sequences);
    check(Attention{Gaussian{}}, sequences);
  }
  const auto view = HeadView<const Half>::bhnd(q.data(), 2, 4, 5, D);
  std::string said;
  try {
    Attention{Biweight{}}(view, view, of(v, key_heads, keys), HeadView<float>::bhnd(out.data(), 2, 4, 5, Dv));
  } catch (const std::invalid_argument& error) {
    said = error.what();
  }
  REQUIRE(said.find("Attention::operator(): key and value must have the same batch, heads and tokens, got [2 x 4 x 5 x 20]") != std::string::npos);
}
