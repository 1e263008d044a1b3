// Weights and gradients of rows that ask more of float than most: many keys, steep profiles, totals that underflow.
#include <nadaraya/definitions.hpp>
#include <nadaraya/entmax.hpp>
#include <nadaraya/normalization/anchored.hpp>
#include <nadaraya/normalization/fixed_bandwidth.hpp>
#include <nadaraya/normalization/nearest_neighbors.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <vector>

using namespace nadaraya;

namespace {

constexpr double epsilon = std::numeric_limits<float>::epsilon();

template <class T>
struct Solved {
  std::vector<T> p, dz;
  ParameterGradients<T> parameters;
  bool empty = false;
};

/// The weights of a row and the pullback of g, by position. The row is the last of `many`, so that short ones are solved
/// together.
template <class T, class K, class N, class Z>
Solved<T> solve(const K& kernel, const N& normalization, double factor, const std::vector<Z>& z, const std::vector<Z>& g,
                std::size_t many = 1) {
  const OwnedRowRule<T, K, N> rule(kernel, normalization, factor);
  std::vector<CandidateRow<T>> rows(many);
  for (CandidateRow<T>& row : rows) {
    for (std::size_t j = 0; j < z.size(); ++j) row.push(static_cast<KeyIndex>(j), static_cast<T>(z[j]));
  }
  std::vector<RowNormalizer<T>> maps(many);
  rule->solve(std::span<CandidateRow<T>>(rows), std::span<RowNormalizer<T>>(maps));
  CandidateRow<T>& row = rows.back();
  engine::LineVector<T> p;
  rule->weigh(row, maps.back(), p);
  Solved<T> result;
  result.empty = row.empty();
  result.p.assign(z.size(), T(0));
  result.dz.assign(z.size(), T(0));
  std::vector<T> kept_g, dz(row.size()), again(row.size());
  for (const KeyIndex key : row.keys()) kept_g.push_back(static_cast<T>(g[static_cast<std::size_t>(key)]));
  rule->unweigh(maps.back(), row.values(), RowView<T>(kept_g), RowOut<T>(dz), result.parameters);
  rule->weights(maps.back(), row.values(), RowOut<T>(again));
  for (std::size_t j = 0; j < row.size(); ++j) {
    const auto key = static_cast<std::size_t>(row.keys()[j]);
    result.p[key] = p[j];
    result.dz[key] = dz[j];
    again[j] -= p[j];
  }
  REQUIRE(std::all_of(again.begin(), again.end(), [](const T& difference) { return difference == T(0); }));
  return result;
}

template <class A, class B>
double error(const std::vector<A>& a, const std::vector<B>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    const double difference = std::abs(static_cast<double>(a[j]) - static_cast<double>(b[j]));
    if (!(difference <= worst)) worst = difference;
  }
  return worst;
}

float raise(float t, double r) {
  return r == 1.0 ? t : r == 2.0 ? t * t : r == 3.0 ? t * t * t : std::pow(t, static_cast<float>(r));
}

/// alpha-entmax as it is written in float elsewhere: sorted scores and running sums for r = 1 and 2 (Martins & Astudillo
/// 2016; Peters, Niculae & Martins 2019), else bisections and a division by the sum; dz = s (g - sum s g / sum s).
Solved<float> textbook(double r, const std::vector<float>& z, const std::vector<float>& g) {
  const std::size_t n = z.size();
  const float top = *std::max_element(z.begin(), z.end());
  std::vector<float> x(n);
  for (std::size_t j = 0; j < n; ++j) x[j] = (z[j] - top) / static_cast<float>(r);
  float tau = 0;
  if (r <= 2.0) {
    std::vector<float> sorted = x;
    std::sort(sorted.begin(), sorted.end(), std::greater<float>());
    float sum = 0, squares = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const auto count = static_cast<float>(j + 1);
      sum += sorted[j];
      squares += sorted[j] * sorted[j];
      float next = (sum - 1) / count;
      if (r == 2.0) {
        const float mean = sum / count;
        const float delta = (1 - count * (squares / count - mean * mean)) / count;
        next = mean - std::sqrt(std::max(delta, 0.f));
      }
      if (!(next <= sorted[j])) break;
      tau = next;
    }
  } else {
    float low = -1, width = 1;
    for (int step = 0; step < 26; ++step) {
      width /= 2;
      float sum = 0;
      for (const float x_j : x) sum += raise(std::max(x_j - (low + width), 0.f), r);
      if (sum >= 1) low += width;
    }
    tau = low;
  }
  Solved<float> result;
  float sum = 0;
  for (std::size_t j = 0; j < n; ++j) {
    const float t = std::max(x[j] - tau, 0.f);
    result.p.push_back(raise(t, r));
    result.dz.push_back(t > 0 ? raise(t, r - 1) : 0.f);
    if (r == 1.0 && t > 0) result.dz.back() = 1;
    sum += result.p.back();
  }
  if (r > 2.0) {
    for (float& p : result.p) p /= sum;
  }
  const Eigen::Map<Eigen::ArrayXf> s(result.dz.data(), static_cast<Index>(n));
  const Eigen::Map<const Eigen::ArrayXf> gradient(g.data(), static_cast<Index>(n));
  const float mean = (s * gradient).sum() / s.sum();
  for (std::size_t j = 0; j < n; ++j) result.dz[j] *= g[j] - mean;
  return result;
}

double largest(const std::vector<double>& x) {
  double most = 0;
  for (const double x_j : x) most = std::max(most, std::abs(x_j));
  return most;
}

/// Largest errors of weights and gradients of some rows.
struct Errors {
  double p = 0, dz = 0;
  void add(const Solved<float>& row, const Solved<double>& exact) {
    p = std::max(p, error(row.p, exact.p));
    dz = std::max(dz, error(row.dz, exact.dz));
  }
};

template <class K>
void compare_with_textbook(const K& kernel, double r, std::size_t most) {
  for (std::size_t n = 128; n <= most; n *= n == 128 ? 32 : 4) {
    for (const double scale : {0.0, 0.01, 1.0, 30.0, -1.0}) {
      INFO("r = " << r << ", " << n << " keys, scores x " << scale << " (-1: all but one just above the edge)");
      test::Random random(11);
      Errors ours, books;
      // What is left of any number when it has been rounded once.
      double p_unit = 0, dz_unit = 0;
      for (int row = 0; row < (n < 16384 ? 3 : 1); ++row) {
        std::vector<float> z(n), g(n);
        for (float& g_j : g) g_j = static_cast<float>(random.normal());
        for (float& z_j : z) z_j = static_cast<float>(0.375 + (scale < 0 ? 1e-3 : scale) * random.normal());
        if (scale < 0) z[0] = static_cast<float>(0.375 + r * (0.9 + 0.01 * row));
        const auto exact = solve<double>(kernel, Adaptive{}, 0.0, z, g);
        p_unit = std::max(p_unit, epsilon * largest(exact.p));
        dz_unit = std::max(dz_unit, epsilon * largest(exact.dz));
        books.add(textbook(r, z, g), exact);
        ours.add(solve<float>(kernel, Adaptive{}, 0.0, z, g), exact);
        ours.add(solve<float>(kernel, Adaptive{}, 0.0, z, g, 9), exact);
      }
      REQUIRE(ours.p <= 1.3 * std::max(books.p, p_unit));
      REQUIRE(ours.dz <= 1.3 * std::max(books.dz, dz_unit));
    }
  }
}

}  // namespace

TEST_CASE("weights and gradients in float are as exact as a textbook's for any number of keys", "[threshold]") {
  compare_with_textbook(Epanechnikov{}, 1, 16384);
  compare_with_textbook(Biweight{}, 2, 16384);
  compare_with_textbook(Triweight{}, 3, 16384);
  for (const double r : {1.25, 2.5, 40.0}) compare_with_textbook(RectifiedPower::with_exponent(r), r, 4096);
}

TEST_CASE("a bandwidth's weights in float are as exact as their sum is for any number of keys", "[threshold]") {
  test::Random random(12);
  const auto check = [&](const auto& kernel, const auto& normalization, const char* name) {
    for (const std::size_t n : std::vector<std::size_t>{100, 1000, 16384}) {
      for (const double scale : {0.0, 0.01, 0.4}) {
        INFO(name << ", " << n << " keys x " << scale);
        std::vector<float> z(n), g(n);
        for (float& z_j : z) z_j = static_cast<float>(-0.3 - scale * random.uniform());
        for (float& g_j : g) g_j = static_cast<float>(random.normal());
        const auto exact = solve<double>(kernel, normalization, 1.0, z, g);
        const auto ours = solve<float>(kernel, normalization, 1.0, z, g);
        REQUIRE(error(ours.p, exact.p) <= 8 * epsilon * largest(exact.p));
        REQUIRE(error(ours.dz, exact.dz) <= (8 + std::sqrt(static_cast<double>(n))) * epsilon * largest(exact.dz));
      }
    }
  };
  check(Epanechnikov{}, FixedBandwidth{1.0}, "fixed");
  check(Biweight{}, FixedBandwidth{1.0}, "fixed");
  check(Gaussian{}, Anchored{1.0}, "anchored, Gaussian");
  check(Epanechnikov{}, Anchored{1.0}, "anchored");
}

TEMPLATE_TEST_CASE("equal scores share a row at any alpha", "[threshold]", float, double) {
  using T = TestType;
  for (const double alpha : {2.5, 14.0, 70.0, 1000.0, 1e6}) {
    for (const std::size_t n : std::vector<std::size_t>{1, 8, 1000, 4096}) {
      INFO("alpha " << alpha << ", " << n << " keys");
      test::Random random(13);
      std::vector<double> z(n, 0.0), g(n);
      for (double& g_j : g) g_j = random.normal();
      const auto row = solve<T>(RectifiedPower::with_alpha(alpha), Adaptive{}, 0.0, z, g);
      const std::vector<double> share(n, 1.0 / static_cast<double>(n));
      REQUIRE(error(row.p, share) <= 2 * std::numeric_limits<T>::epsilon() * share[0]);
      REQUIRE(std::isfinite(row.parameters.alpha));
      T total(0);
      for (const T& dz_j : row.dz) total += std::abs(dz_j);
      REQUIRE(std::isfinite(total));
      // And through the functions of rows.
      const RowMatrix<T> x = RowMatrix<T>::Zero(1, static_cast<Index>(n));
      const RowMatrix<T> grad = Eigen::Map<const RowMatrix<double>>(g.data(), 1, x.cols()).cast<T>();
      const RowMatrix<T> p = entmax(x, alpha);
      REQUIRE(p == RowMatrix<T>::Constant(1, x.cols(), p(0, 0)));
      REQUIRE(entmax_pullback(p, grad, alpha).allFinite());
      REQUIRE(std::isfinite(entmax_alpha_gradient(x, grad, alpha)));
    }
  }
}

TEST_CASE("a key above many that share the rest at a coordinate that underflows", "[threshold]") {
  // 0.001^(1/13) = 0.588 for the one; the others' coordinate is 1e-52.
  const double alpha = 14, r = 1 / (alpha - 1), above = 1e-3;
  std::vector<double> z(4096, 0.0), g(4096, 0.0);
  z[7] = above * r;
  g[7] = 1;
  const auto exact = solve<double>(RectifiedPower::with_alpha(alpha), Adaptive{}, 0.0, z, g);
  const auto ours = solve<float>(RectifiedPower::with_alpha(alpha), Adaptive{}, 0.0, z, g);
  REQUIRE(std::abs(exact.p[7] - std::pow(above, r)) <= 1e-14);
  REQUIRE(std::abs(exact.p[8] - (1 - exact.p[7]) / 4095) <= 1e-17);
  REQUIRE(error(ours.p, exact.p) <= 4 * epsilon);
  // dp/dz of the one, whose weight comes from all the others.
  REQUIRE(std::abs(ours.dz[7] - std::pow(above, r - 1)) <= 1e-4 * std::pow(above, r - 1));
  REQUIRE(std::abs(ours.parameters.alpha - exact.parameters.alpha) <= 1e-5 * std::abs(exact.parameters.alpha));
}

TEST_CASE("steep rows have finite gradients that agree with double", "[threshold]") {
  test::Random random(14);
  for (int row = 0; row < 3000; ++row) {
    const double alpha = 2.5 + row % 48;
    INFO("row " << row << ", alpha " << alpha);
    const auto n = static_cast<std::size_t>(1 + random.below(20));
    std::vector<float> z(n), g(n);
    const double scale = std::pow(10.0, row % 5 - 2);
    for (float& z_j : z) {
      z_j = static_cast<float>(scale * random.normal());
      if (row % 3 == 0) z_j = std::round(4 * z_j) / 4;  // ties
    }
    for (float& g_j : g) g_j = static_cast<float>(random.normal());
    const RectifiedPower kernel = RectifiedPower::with_alpha(alpha);
    const auto ours = solve<float>(kernel, Adaptive{}, 0.0, z, g);
    const auto exact = solve<double>(kernel, Adaptive{}, 0.0, z, g);
    REQUIRE(error(ours.p, exact.p) <= 4 * epsilon);
    REQUIRE(std::isfinite(ours.parameters.alpha));
    const double most = largest(exact.dz);
    for (std::size_t j = 0; j < n; ++j) {
      REQUIRE(std::isfinite(ours.dz[j]));
      REQUIRE(std::isfinite(exact.dz[j]));
      if (most < 1e30) REQUIRE(std::abs(static_cast<double>(ours.dz[j]) - exact.dz[j]) <= 1e-4 * (1 + most));
    }
    const Eigen::Map<const RowMatrix<float>> x(z.data(), 1, static_cast<Index>(n)), grad(g.data(), 1, static_cast<Index>(n));
    REQUIRE(entmax_pullback(entmax(x, alpha), grad, alpha).allFinite());
  }
}

namespace {

/// A power written by a user, who says nothing of it.
template <int N>
struct OwnPower {
  static constexpr bool compact = true;
  static constexpr bool elementwise = true;

  template <class S>
  NADARAYA_INLINE S profile(const S& t) const {
    return detail::power<N>(t);
  }
  template <class S>
  NADARAYA_INLINE S derivative(const S& t) const {
    return S(N) * detail::power<N - 1>(t);
  }
};

/// Weights and pullback of a bandwidth h under the power r, with logarithms: p_j ~ t_j^r, t_j = 1 + z_j / h^2, and
/// dL/dz_j = r / (t_j h^2) p_j (g_j - sum p g). If `borrowed`, h^2 = -z of the last key. dL/dh in `bandwidth`.
Solved<double> oracle(double r, double h2, bool borrowed, const std::vector<double>& z, const std::vector<double>& g) {
  if (borrowed) h2 = -z.back();
  Solved<double> exact;
  std::vector<double> log_p;
  for (const double z_j : z) log_p.push_back(r * std::log1p(std::max(z_j / h2, -1.0)));
  const double top = *std::max_element(log_p.begin(), log_p.end());
  double sum = 0, mean = 0, by_width = 0;
  for (double& log_p_j : log_p) sum += std::exp(log_p_j - top);
  for (std::size_t j = 0; j < z.size(); ++j) {
    exact.p.push_back(std::exp(log_p[j] - top) / sum);
    mean += exact.p[j] * g[j];
  }
  for (std::size_t j = 0; j < z.size(); ++j) {
    const double dt = exact.p[j] == 0.0 ? 0.0 : r / (1 + z[j] / h2) * exact.p[j] * (g[j] - mean);
    exact.dz.push_back(dt / h2);
    by_width -= dt * z[j] / (h2 * h2);
  }
  exact.parameters.bandwidth = by_width * 2 * std::sqrt(h2);
  if (borrowed) exact.dz.back() -= by_width;
  return exact;
}

template <class T, class K>
void check_far_keys(const K& kernel, double r, double u, double tolerance) {
  INFO("power " << r << ", u " << u);
  const double z0 = -u * u;
  const std::vector<double> z{z0, z0 - 2e-2 / r * (1 - u), z0 - 1e-1 / r * (1 - u), -1.5, -1.0};
  const std::vector<double> g{1.0, -0.5, 2.0, 3.0, 4.0};
  const auto check = [&](const auto& normalization, bool borrowed) {
    std::vector<double> seen = z;
    if (borrowed) seen.erase(seen.begin() + 3);
    std::vector<double> seen_g = g;
    if (borrowed) seen_g.erase(seen_g.begin() + 3);
    // As the scalar has them.
    for (double& z_j : seen) z_j = static_cast<T>(z_j);
    const auto exact = oracle(r, 1.0, borrowed, seen, seen_g);
    const auto ours = solve<T>(kernel, normalization, 1.0, seen, seen_g);
    REQUIRE(!ours.empty);
    REQUIRE(error(ours.p, exact.p) <= tolerance);
    CAPTURE(borrowed);
    REQUIRE(error(ours.dz, exact.dz) <= tolerance * largest(exact.dz));
    if (!borrowed) {
      const double off = std::abs(ours.parameters.bandwidth - exact.parameters.bandwidth);
      REQUIRE(off <= tolerance * (std::abs(exact.parameters.bandwidth) + largest(exact.dz)));
    }
  };
  check(FixedBandwidth{1.0}, false);
  check(NearestNeighbors{3}, true);
  if constexpr (ElementwiseKernel<K>) {
    // A row that is weighed in place.
    std::vector<T> t(z.begin(), z.end());
    const RowNormalizer<T> map = OwnedRowRule<T, K, FixedBandwidth>(kernel, FixedBandwidth{1.0}, 1.0)->profiles(RowOut<T>(t));
    for (T& t_j : t) t_j /= map.mass;
    std::vector<double> rounded;
    for (const double z_j : z) rounded.push_back(static_cast<T>(z_j));
    REQUIRE(error(t, oracle(r, 1.0, false, rounded, g).p) <= tolerance);
  }
}

}  // namespace

TEST_CASE("keys inside the bandwidth have weight though their total underflows", "[bandwidth]") {
  for (const double u : {0.5, 0.9, 0.99, 0.9999}) {
    for (const double r : {30.0, 1000.0, 1e5}) check_far_keys<double>(RectifiedPower::with_exponent(r), r, u, 1e-8);
    for (const double r : {12.0, 27.0, 300.0}) check_far_keys<float>(RectifiedPower::with_exponent(r), r, u, 2e-2);
    test::unless_sanitized(RectifiedPolynomial<12>{}, [&](const auto& kernel) { check_far_keys<float>(kernel, 12, u, 1e-2); });
    test::unless_sanitized(RectifiedPolynomial<40>{}, [&](const auto& kernel) { check_far_keys<float>(kernel, 40, u, 1e-2); });
    test::unless_sanitized(RectifiedPolynomial<300>{}, [&](const auto& kernel) { check_far_keys<double>(kernel, 300, u, 1e-8); });
    check_far_keys<float>(OwnPower<27>{}, 27, u, 1e-2);
  }
  // As in the report of the fault, and a key at the very edge.
  const std::vector<double> one{-0.81}, g{1.0};
  REQUIRE(solve<double>(RectifiedPower::with_exponent(1000), FixedBandwidth{1.0}, 1.0, one, g).p[0] == 1.0);
  const std::vector<double> last{-std::nextafter(1.0f, 0.0f)};
  REQUIRE(solve<float>(RectifiedPower::with_exponent(1e6), FixedBandwidth{1.0}, 1.0, last, g).p[0] == 1.0f);
  REQUIRE(solve<float>(Biweight{}, FixedBandwidth{1.0}, 1.0, last, g).p[0] == 1.0f);
  // Where the profile underflows in every scalar, the nearest keys share the row, and nothing moves them.
  const std::vector<double> far{-0.9, -0.9, -0.95}, far_g{1.0, 2.0, 3.0};
  const auto row = solve<double>(OwnPower<1000>{}, FixedBandwidth{1.0}, 1.0, far, far_g);
  REQUIRE(row.p == std::vector<double>{0.5, 0.5, 0.0});
  REQUIRE(row.dz == std::vector<double>{0.0, 0.0, 0.0});
  // Outside it, there is nothing to divide.
  REQUIRE(solve<double>(OwnPower<1000>{}, FixedBandwidth{0.5}, 1.0, far, far_g).empty);
  REQUIRE(solve<double>(RectifiedPower::with_exponent(1000), FixedBandwidth{0.5}, 1.0, far, far_g).empty);
}
