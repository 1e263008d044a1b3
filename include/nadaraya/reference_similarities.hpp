// The oracle's similarities, summed in loops.
#pragma once

#include "nadaraya/similarity/cosine.hpp"
#include "nadaraya/similarity/diagonal_distance.hpp"
#include "nadaraya/similarity/dot_product.hpp"
#include "nadaraya/similarity/squared_distance.hpp"
#include "nadaraya/types.hpp"

#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::reference {

/// Products in the order of the columns.
template <class S>
S dot(const auto& a, const auto& b) {
  S sum(0);
  for (Index d = 0; d < a.size(); ++d) sum += S(a(d)) * S(b(d));
  return sum;
}

/// scale (q.k)
template <class S>
S similarity(const DotProduct& policy, const auto& q, const auto& k) {
  const S fallback = q.size() == 0 ? S(1) : S(1) / S(std::sqrt(S(q.size())));
  return (policy.scale ? S(*policy.scale) : fallback) * dot<S>(q, k);
}
/// scale |q - k|^2
template <class S>
S squared_distance(const SquaredDistance& policy, const auto& q, const auto& k) {
  S sum(0);
  for (Index d = 0; d < q.size(); ++d) sum += (S(q(d)) - S(k(d))) * (S(q(d)) - S(k(d)));
  return S(policy.scale) * sum;
}
/// sum_d ((q_d - k_d) / h_d)^2
template <class S, class T>
S squared_distance(const DiagonalDistance<T>& policy, const auto& q, const auto& k) {
  S sum(0);
  for (Index d = 0; d < q.size(); ++d) {
    const S scaled = (S(q(d)) - S(k(d))) / S(policy.bandwidths()(d));
    sum += scaled * scaled;
  }
  return sum;
}
/// x / |x|, by way of x / max |x_d|, whose squares do not overflow; zeros stay.
template <class S>
std::vector<S> unit(const auto& x) {
  std::vector<S> u;
  for (Index d = 0; d < x.size(); ++d) u.push_back(S(x(d)));
  const auto divide_by = [&](const S& divisor) {
    for (S& u_d : u) u_d /= divisor;
  };
  S largest(0);
  for (const S& u_d : u) {
    if (!(std::abs(u_d) <= largest) && largest == largest) largest = std::abs(u_d);
  }
  if (largest == S(0)) return u;
  divide_by(largest);
  S squares(0);
  for (const S& u_d : u) squares += u_d * u_d;
  divide_by(S(std::sqrt(squares)));
  return u;
}
/// scale |q/|q| - k/|k||^2, from the normalized rows.
template <class S>
S squared_distance(const Cosine& policy, const auto& q, const auto& k) {
  const std::vector<S> p = unit<S>(q), r = unit<S>(k);
  S cosine(0);
  for (std::size_t d = 0; d < p.size(); ++d) cosine += p[d] * r[d];
  return S(policy.scale) * S(2) * (S(1) - cosine);
}
/// Minus the squared distance.
template <class S>
S similarity(const SquaredDistance& policy, const auto& q, const auto& k) {
  return -squared_distance<S>(policy, q, k);
}
/// Minus the squared distance.
template <class S, class T>
S similarity(const DiagonalDistance<T>& policy, const auto& q, const auto& k) {
  return -squared_distance<S>(policy, q, k);
}
/// Minus half of the squared distance.
template <class S>
S similarity(const Cosine& policy, const auto& q, const auto& k) {
  return -squared_distance<S>(policy, q, k) / S(2);
}

/// A row as a similarity compares it.
template <class S, class Sim>
RowMatrix<S> compared(const Sim&, const auto& x) {
  std::vector<S> row;
  if constexpr (std::is_same_v<Sim, Cosine>) {
    row = unit<S>(x);
  } else {
    for (Index d = 0; d < x.size(); ++d) row.push_back(S(x(d)));
  }
  return Eigen::Map<RowMatrix<S>>(row.data(), 1, x.size());
}

}  // namespace nadaraya::reference

#include "nadaraya/detail/end_precise.hpp"
