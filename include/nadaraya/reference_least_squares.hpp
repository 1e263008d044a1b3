// The oracle of local polynomials: dense weighted least squares, written out plainly. It shares nothing with the library but
// types.
#pragma once

#include "nadaraya/types.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::reference {

/// Solves a x = b by elimination with pivots, row by row.
template <class S>
std::vector<S> solve(std::vector<std::vector<S>> a, std::vector<S> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    }
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const S factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

/// The products of powers of x with a total degree of at most `degree`, 1 among them.
template <class S>
std::vector<S> monomials(const std::vector<S>& x, int degree, std::size_t axis = 0) {
  if (axis == x.size()) return {S(1)};
  std::vector<S> all;
  S power(1);
  for (int n = 0; n <= degree; ++n, power *= x[axis]) {
    for (const S& rest : monomials(x, degree - n, axis + 1)) all.push_back(power * rest);
  }
  return all;
}

/// The weights by which the value at q of the polynomial in k - q that minimizes
///   sum_j w_j (v_j - f(k_j))^2 + ridge (sum w) |coefficients but the constant|^2
/// sums values: w_j x_j^T A^-1 e, A = sum w x x^T + ridge (sum w) diag(0, 1, ..., 1). query [D], key [s x D].
template <class S>
std::vector<S> local_fit(int degree, const S& ridge, const auto& query, const auto& key, const std::vector<S>& w) {
  std::vector<std::vector<S>> rows;
  for (Index j = 0; j < key.rows(); ++j) {
    std::vector<S> offset;
    for (Index d = 0; d < key.cols(); ++d) offset.push_back(S(key(j, d)) - S(query(d)));
    rows.push_back(monomials(offset, degree));
  }
  if (rows.empty()) return {};
  const std::size_t n = rows[0].size();
  std::vector<std::vector<S>> a(n, std::vector<S>(n, S(0)));
  for (std::size_t j = 0; j < rows.size(); ++j) {
    for (std::size_t m = 0; m < n; ++m) {
      for (std::size_t k = 0; k < n; ++k) a[m][k] += w[j] * rows[j][m] * rows[j][k];
      if (m > 0) a[m][m] += ridge * w[j];
    }
  }
  std::vector<S> constant(n, S(0));
  constant[0] = S(1);
  constant = solve(a, constant);
  std::vector<S> c;
  for (std::size_t j = 0; j < rows.size(); ++j) {
    c.push_back(w[j] * std::inner_product(rows[j].begin(), rows[j].end(), constant.begin(), S(0)));
  }
  return c;
}

}  // namespace nadaraya::reference

#include "nadaraya/detail/end_precise.hpp"
