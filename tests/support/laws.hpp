// The laws of kernels and of row rules, for any model of them: yours too.
#pragma once

#include <nadaraya/reference.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sanitized.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

namespace nadaraya::test {

/// Laws of Kernel (kernel/kernel.hpp).
template <Kernel K>
void check_kernel_laws(const K& kernel) {
  const double top = centre(kernel);
  REQUIRE(std::abs(kernel.profile(top) - 1.0) <= 1e-15);
  double before = 0;
  for (int i = 1; i <= 1000; ++i) {
    const double t = top - 1.0 + i / 1000.0;
    const double value = kernel.profile(t);
    REQUIRE(value >= 0.0);
    REQUIRE(value >= before);
    before = value;
  }
  for (int i = 50; i < 1000; i += 7) {
    const long double t = static_cast<long double>(top) - 1.0L + i / 1000.0L;
    const long double h = 1e-6L;
    const long double numeric = (kernel.profile(t + h) - kernel.profile(t - h)) / (2 * h);
    const long double error = std::abs(kernel.derivative(t) - numeric);
    REQUIRE(error <= 1e-9L + 1e-7L * std::abs(numeric));
  }
  if constexpr (AdaptiveKernel<K>) {
    REQUIRE(kernel.width() > 0.0);
    if constexpr (CompactKernel<K>) REQUIRE(kernel.profile(top - 1.0 + 1e-300) <= 1e-9);
  }
  if constexpr (ExponentialKernel<K>) {
    const double ratio = kernel.profile(top - 0.3) / kernel.profile(top);
    REQUIRE(std::abs(kernel.profile(top - 2.3) / kernel.profile(top - 2.0) - ratio) <= 1e-14);
  }
}

/// Weights by position, zero where a key has none.
inline std::vector<double> by_position(const CandidateRow<double>& row, const engine::LineVector<double>& p, std::size_t size) {
  std::vector<double> all(size, 0.0);
  for (std::size_t j = 0; j < row.size(); ++j) all[static_cast<std::size_t>(row.keys()[j])] = p[j];
  return all;
}

/// The weights of a row, by position.
inline std::vector<double> row_weights(const RowRule<double>& rule, const std::vector<double>& z) {
  CandidateRow<double> row;
  for (std::size_t j = 0; j < z.size(); ++j) row.push(static_cast<KeyIndex>(j), z[j]);
  RowNormalizer<double> map;
  rule.solve({&row, 1}, {&map, 1});
  engine::LineVector<double> p;
  rule.weigh(row, map, p);
  return by_position(row, p, z.size());
}

/// What holds for a row holds for each of many rows: their floors cut no key that has weight, and their weights are
/// those of each alone.
inline void check_many_rows(const RowRule<double>& rule, const std::vector<std::vector<double>>& many) {
  const double tolerance = 1e-13;
  std::vector<CandidateRow<double>> rows(many.size());
  for (std::size_t r = 0; r < many.size(); ++r) {
    for (std::size_t j = 0; j < many[r].size(); ++j) rows[r].push(static_cast<KeyIndex>(j), many[r][j]);
  }
  std::vector<CandidateRow<double>> parts = rows;
  std::vector<CandidateRow<double>*> all_parts;
  for (CandidateRow<double>& part : parts) {
    part.resize(part.size() / 2);
    all_parts.push_back(&part);
  }
  for (int time = 0; time < 2; ++time) rule.refine(std::span<CandidateRow<double>* const>(all_parts));
  std::vector<RowNormalizer<double>> maps(rows.size());
  rule.solve(std::span<CandidateRow<double>>(rows), std::span<RowNormalizer<double>>(maps));
  engine::LineVector<double> weights;
  for (std::size_t r = 0; r < many.size(); ++r) {
    const std::vector<double> p = row_weights(rule, many[r]);
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (p[j] > 0.0) REQUIRE(many[r][j] > parts[r].floor());
    }
    rule.weigh(rows[r], maps[r], weights);
    const std::vector<double> all = by_position(rows[r], weights, p.size());
    for (std::size_t j = 0; j < p.size(); ++j) REQUIRE(std::abs(all[j] - p[j]) <= tolerance);
  }
}

/// Laws of normalizations (normalization/normalization.hpp), over random rows: of squared distances if factor > 0.
inline void check_row_laws(const RowRule<double>& rule, double factor, bool sums_to_one) {
  const auto refine = [&](CandidateRow<double>& row) {
    CandidateRow<double>* const rows[] = {&row};
    rule.refine(rows);
  };
  Random random(11);
  std::vector<std::vector<double>> many;
  for (int trial = 0; trial < (sanitized ? 150 : 1000); ++trial) {
    const auto n = static_cast<std::size_t>(1 + random.below(12));
    std::vector<double> z(n);
    for (double& z_j : z) {
      z_j = factor > 0 ? -std::abs(random.normal()) : random.normal();
      if (random.uniform() < 0.2) z_j = z[0];  // ties
    }
    const std::vector<double> p = row_weights(rule, z);
    many.push_back(z);
    // Between short rows, an empty and a long one.
    if (trial % 7 == 0) many.emplace_back();
    if (trial % 50 == 0) {
      many.emplace_back(150);
      for (double& z_j : many.back()) z_j = factor > 0 ? -std::abs(random.normal()) : random.normal();
    }

    // Non-negative, and monotone in the similarity up to the rank ties of nearest neighbours.
    double total = 0;
    for (const double p_j : p) {
      REQUIRE(p_j >= 0.0);
      total += p_j;
    }
    if (sums_to_one && total > 0) REQUIRE(std::abs(total - 1.0) <= 4e-16 * 4 * std::sqrt(static_cast<double>(n)));

    // The floor of any part of the row cuts no key that has weight.
    for (std::size_t part = 0; part <= n; ++part) {
      CandidateRow<double> row;
      for (std::size_t j = 0; j < part; ++j) row.push(static_cast<KeyIndex>(j), z[j]);
      refine(row);
      if (part % 2 == 1) refine(row);  // the floor that is known changes what is found next
      const double floor = row.floor();
      for (std::size_t j = 0; j < n; ++j) {
        if (p[j] > 0.0) REQUIRE(z[j] > floor);
      }
    }

    // Nor does the floor of a row of smaller numbers: screening knows bounds on similarities.
    CandidateRow<double> lower;
    for (std::size_t j = 0; j < n; ++j) lower.push(static_cast<KeyIndex>(j), z[j] - 0.3 * random.uniform());
    lower.set_bound_slack(0.3);
    refine(lower);
    for (std::size_t j = 0; j < n; ++j) {
      if (!(p[j] > 0.0)) continue;
      REQUIRE(z[j] > lower.floor());
      REQUIRE(std::count(lower.keys().begin(), lower.keys().end(), static_cast<KeyIndex>(j)) == 1);
    }

    // Permuting the row permutes the weights; ranks break ties by position, so without ties only.
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::reverse(order.begin(), order.end());
    std::vector<double> sorted = z;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()) {
      std::vector<double> reversed(n);
      for (std::size_t j = 0; j < n; ++j) reversed[j] = z[order[j]];
      const std::vector<double> q = row_weights(rule, reversed);
      for (std::size_t j = 0; j < n; ++j) {
        const double error = std::abs(q[j] - p[order[j]]);
        REQUIRE(error <= 1e-13);
      }
    }
  }
  check_many_rows(rule, many);
}

template <Kernel K, class N>
void check_row_laws(const K& kernel, const N& normalization, double factor, bool sums_to_one) {
  const OwnedRowRule<double, K, N> rule(kernel, normalization, factor);
  check_row_laws(*rule, factor, sums_to_one);
}

/// Every law that applies to a kernel, alone and under every normalization it works with.
template <Kernel K>
void check_all_laws(const K& kernel) {
  check_kernel_laws(kernel);
  check_row_laws(kernel, FixedBandwidth{1.1}, 1.0, true);
  check_row_laws(kernel, Unnormalized{.bandwidth = 1.1, .mass = 3.0}, 1.0, false);
  check_row_laws(kernel, Anchored{0.9}, 0.0, true);
  check_row_laws(kernel, NearestNeighbors{3}, 1.0, true);
  if constexpr (AdaptiveKernel<K>) check_row_laws(kernel, Adaptive{}, 0.0, true);
}

}  // namespace nadaraya::test
