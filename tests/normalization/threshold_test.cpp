// Thresholds on rows that break iterations of fixed count, bisection, or cancelling sums.
#include <nadaraya/definitions.hpp>
#include <nadaraya/entmax.hpp>
#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace nadaraya;

namespace {

using NamedRow = std::pair<std::string, std::vector<double>>;

std::vector<NamedRow> adversarial_rows() {
  std::vector<NamedRow> rows;
  const auto make = [&](const std::string& name, std::size_t n, auto value) {
    std::vector<double> z(n);
    for (std::size_t j = 0; j < n; ++j) z[j] = value(j);
    rows.emplace_back(name, z);
  };
  test::Random random(3);
  make("a single key", 1, [](auto) { return 123.5; });
  make("all equal", 4096, [](auto) { return -7.25; });
  make("one-hot", 1000, [](auto j) { return j == 17 ? 60.0 : 0.0; });
  make("two ties", 64, [](auto j) { return j < 2 ? 1.0 : -3.0; });
  make("ties at the threshold", 6, [](auto j) { return j == 0 ? 1.0 : 0.0; });
  make("equally spaced", 4096, [](auto j) { return static_cast<double>(j) / 4096; });
  make("equally spaced and wide", 4096, [](auto j) { return static_cast<double>(j) / 64; });
  make("normal", 512, [&](auto) { return random.normal(); });
  make("normal x 1000", 512, [&](auto) { return 1000 * random.normal(); });
  make("normal x 1e-6", 512, [&](auto) { return 1e-6 * random.normal(); });
  make("far from zero", 512, [&](auto) { return 1024 + std::round(64 * random.normal()) / 64; });
  // Short ones, as many are looked at at once.
  make("a hundred equal", 100, [](auto) { return -7.25; });
  make("one-hot of a hundred", 100, [](auto j) { return j == 17 ? 60.0 : 0.0; });
  make("a hundred equally spaced", 100, [](auto j) { return static_cast<double>(j) / 128; });
  make("a hundred normal", 100, [&](auto) { return random.normal(); });
  make("a hundred normal x 1000", 100, [&](auto) { return 1000 * random.normal(); });
  make("a hundred normal x 1e-6", 100, [&](auto) { return 1e-6 * random.normal(); });
  make("a hundred far from zero", 100, [&](auto) { return 1024 + std::round(64 * random.normal()) / 64; });
  return rows;
}

/// The weights of a row, one of `many` of which each is a little longer than the one before.
template <class Scalar, class K>
std::vector<Scalar> weights(const K& kernel, const std::vector<double>& z, std::size_t many = 1) {
  std::vector<CandidateRow<Scalar>> rows(many);
  for (std::size_t r = 0; r < many; ++r) {
    const std::size_t less = many - 1 - r;
    const std::size_t size = z.size() > less ? z.size() - less : 1;
    for (std::size_t j = 0; j < size; ++j) rows[r].push(static_cast<KeyIndex>(j), static_cast<Scalar>(z[j]));
  }
  std::vector<RowNormalizer<Scalar>> maps(many);
  const OwnedRowRule<Scalar, K, Adaptive> rule(kernel, Adaptive{}, 0.0);
  rule->solve(std::span<CandidateRow<Scalar>>(rows), std::span<RowNormalizer<Scalar>>(maps));
  CandidateRow<Scalar>& row = rows.back();
  engine::LineVector<Scalar> p;
  rule->weigh(row, maps.back(), p);
  std::vector<Scalar> all(z.size(), Scalar(0));
  for (std::size_t j = 0; j < row.size(); ++j) all[static_cast<std::size_t>(row.keys()[j])] = p[j];
  return all;
}

/// The worst error of a row's weights, and their sum.
struct Outcome {
  long double worst = 0;
  long double total = 0;
};

template <class Scalar>
Outcome outcome(const std::vector<Scalar>& p, const std::vector<long double>& exact) {
  Outcome result;
  for (std::size_t j = 0; j < p.size(); ++j) {
    const long double error = std::abs(p[j] - exact[j]);
    if (!(error <= result.worst)) result.worst = error;
    result.total += p[j];
  }
  return result;
}

/// Worst error of a row's weights against long double, and how far they are from summing to one.
template <class Scalar, class K>
void check(const K& kernel, double amplification) {
  const long double epsilon = Eigen::NumTraits<Scalar>::epsilon();
  for (const auto& [name, z] : adversarial_rows()) {
    INFO(name << ", " << (sizeof(Scalar) == 4 ? "float" : "double") << ", width " << kernel.width());
    std::vector<long double> exact_z;
    for (const double z_j : z) exact_z.push_back(static_cast<Scalar>(z_j));
    const std::vector<long double> exact = reference::row(kernel, Adaptive{}, exact_z, {});
    for (const std::size_t many : {std::size_t(1), std::size_t(23)}) {
      const auto [worst, total] = outcome(weights<Scalar>(kernel, z, many), exact);
      // Rounding of t = (z - max) / width + m by one unit moves t^r by at most r units.
      REQUIRE(worst <= 4 * amplification * epsilon);
      REQUIRE(std::abs(total - 1) <= 4 * amplification * epsilon * std::sqrt(static_cast<long double>(z.size())));
    }
  }
}

}  // namespace

TEST_CASE("thresholds are exact for r = 1 and 2", "[threshold]") {
  check<double>(Epanechnikov{}, 1);
  check<float>(Epanechnikov{}, 1);
  check<double>(Biweight{}, 1);
  check<float>(Biweight{}, 1);
}

TEST_CASE("thresholds converge for every other r >= 1", "[threshold]") {
  check<double>(Triweight{}, 1);
  check<float>(Triweight{}, 1);
  test::unless_sanitized(RectifiedPolynomial<4>{}, [](const auto& kernel) {
    check<double>(kernel, 1);
    check<float>(kernel, 1);
  });
  test::unless_sanitized(RectifiedPolynomial<7>{}, [](const auto& kernel) { check<float>(kernel, 2); });
  for (const double r : {1.0, 1.2, 2.0, 2.5, 10.0, 16.0}) {
    check<double>(RectifiedPower::with_exponent(r), std::max(1.0, r / 2));
    check<float>(RectifiedPower::with_exponent(r), std::max(1.0, r / 2));
  }
}

TEST_CASE("thresholds keep their accuracy towards alpha = 1", "[threshold]") {
  // Beyond 1.0001 the oracle's own t^r is no better than double; continuity is tested below.
  for (const double alpha : {1.05, 1.01, 1.001, 1.0001}) {
    check<double>(RectifiedPower::with_alpha(alpha), 8);
    check<float>(RectifiedPower::with_alpha(alpha), 8);
  }
}

TEST_CASE("thresholds of steep profiles, alpha > 2, up to alpha = 10", "[threshold]") {
  // A key at relative distance d above the edge has weight d^r, so a rounding of its similarity by
  // one unit is one of up to eps^r in its weight: the rows here leave that to exact inputs.
  for (const double alpha : {2.2, 3.0, 10.0}) {
    const RectifiedPower kernel = RectifiedPower::with_alpha(alpha);
    for (const auto& [name, z] : adversarial_rows()) {
      INFO(name << ", alpha " << alpha);
      std::vector<long double> exact_z(z.begin(), z.end());
      const std::vector<long double> exact = reference::row(kernel, Adaptive{}, exact_z, {});
      const auto [worst, total] = outcome(weights<double>(kernel, z), exact);
      REQUIRE(worst <= 1e-13L);
      REQUIRE(std::abs(total - 1) <= 1e-12L);
    }
  }
}

TEST_CASE("alpha-entmax is continuous into softmax", "[threshold]") {
  // The difference shrinks in proportion to alpha - 1, down to rounding.
  test::Random random(5);
  std::vector<double> z(200);
  for (double& z_j : z) z_j = 2 * random.normal();
  const std::vector<double> softmax = reference::softmax(z);
  double before = 1;
  for (const double a : {1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6}) {
    const std::vector<double> p = weights<double>(RectifiedPower::with_alpha(1 + a), z);
    double worst = 0;
    for (std::size_t j = 0; j < p.size(); ++j) worst = std::max(worst, std::abs(p[j] - softmax[j]));
    REQUIRE(worst <= a);
    if (a < 0.05) REQUIRE(std::abs(before / worst - 10) <= 2);
    before = worst;
  }
}
