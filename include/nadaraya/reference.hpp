// The oracle: every operator again, written out plainly, dense, in any real scalar.
//
// It shares the policy types with the library and nothing else: similarities are summed in loops,
// profiles are written in the distance u, thresholds are bisected. O(Nq Nk (D + Dv)) time at least,
// O(Nq Nk) memory. Use it to check, not to compute.
#pragma once

#include "nadaraya/nadaraya.hpp"
#include "nadaraya/reference_least_squares.hpp"
#include "nadaraya/reference_similarities.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::reference {

// --- profiles, as functions of u^2 ---

/// kappa(u) of the box, from u^2.
template <class S>
S profile(const Uniform&, const S& u2) {
  return u2 < S(1) ? S(1) : S(0);
}
/// [1 - u^2]_+^N
template <int N, class S>
S profile(const RectifiedPolynomial<N>&, const S& u2) {
  return u2 < S(1) ? S(std::pow(S(1) - u2, S(N))) : S(0);
}
/// [1 - u^2]_+^r
template <class S>
S profile(const RectifiedPower& kernel, const S& u2) {
  return u2 < S(1) ? S(std::exp(S(kernel.exponent()) * std::log1p(-u2))) : S(0);
}
/// exp(-u^2 / 2)
template <class S>
S profile(const Gaussian&, const S& u2) {
  return S(std::exp(-u2 / S(2)));
}
/// A kernel of the user's own is not checked.
template <class K, class S>
S profile(const K& kernel, const S& u2) {
  if (K::compact && !(u2 < S(1))) return S(0);
  return kernel.profile(S(S(1) - u2));
}

/// The profile in t = 1 - u^2, where 1 - u^2 would lose the digits of a small t.
template <class K, class S>
S coordinate_profile(const K& kernel, const S& t) {
  if (!(t > S(0))) return S(0);
  if constexpr (std::is_same_v<K, RectifiedPower>) {
    return S(std::pow(t, S(kernel.exponent())));
  } else if constexpr (requires { kernel.exponent; }) {
    return S(std::pow(t, S(kernel.exponent)));
  } else {
    return profile(kernel, S(S(1) - t));
  }
}

// --- normalizations: the weights of a row from its visible similarities ---

/// p_j = w_j / sum w, zero if nothing has weight.
template <class S>
std::vector<S> divided_by_sum(std::vector<S> w) {
  const S sum = std::accumulate(w.begin(), w.end(), S(0));
  for (S& w_j : w) w_j = sum == S(0) ? S(0) : S(w_j / sum);
  return w;
}

/// p_j = kappa(d_j / h) / sum.
template <class K, class S>
std::vector<S> row(const K& kernel, const FixedBandwidth& rule, const std::vector<S>&, const std::vector<S>& distance) {
  std::vector<S> w;
  for (const S& d2 : distance) w.push_back(profile(kernel, S(d2 / (S(rule.bandwidth) * S(rule.bandwidth)))));
  return divided_by_sum(w);
}

/// p_j = kappa(d_j / h) / mass.
template <class K, class S>
std::vector<S> row(const K& kernel, const Unnormalized& rule, const std::vector<S>&, const std::vector<S>& distance) {
  std::vector<S> w;
  for (const S& d2 : distance) {
    w.push_back(profile(kernel, S(d2 / (S(rule.bandwidth) * S(rule.bandwidth)))) / S(rule.mass));
  }
  return w;
}

/// p_j = kappa(u_j) / sum, u_j^2 = (max z - z_j) / h^2.
template <class K, class S>
std::vector<S> row(const K& kernel, const Anchored& rule, const std::vector<S>& z, const std::vector<S>&) {
  const S largest = *std::max_element(z.begin(), z.end());
  std::vector<S> w;
  for (const S& z_j : z) w.push_back(profile(kernel, S((largest - z_j) / (S(rule.bandwidth) * S(rule.bandwidth)))));
  return divided_by_sum(w);
}

/// exp(z_j - max z) / sum.
template <class S>
std::vector<S> softmax(const std::vector<S>& z) {
  const S largest = *std::max_element(z.begin(), z.end());
  std::vector<S> w;
  for (const S& z_j : z) w.push_back(S(std::exp(z_j - largest)));
  return divided_by_sum(w);
}

/// Softmax.
template <class S>
std::vector<S> row(const Gaussian&, const Adaptive&, const std::vector<S>& z, const std::vector<S>&) {
  return softmax(z);
}

/// Two bisections: over the sorted keys, for the last one on which the edge of the support can lie
/// without the keys above weighing one; then for the distance s of the edge below that key.
/// Measuring from that key keeps every digit of s, however small. (t^r itself loses r units of
/// rounding: in long double this oracle is good to 1e-15 up to r = 10^4.)
template <class K, class S>
std::vector<S> row(const K& kernel, const Adaptive&, const std::vector<S>& z, const std::vector<S>&) {
  const S width(static_cast<S>(kernel.width()));
  std::vector<S> sorted = z;
  std::sort(sorted.begin(), sorted.end(), [](const S& a, const S& b) { return b < a; });
  // Key j above the edge by `above`, so that t = above / width and u^2 = 1 - t.
  const auto total = [&](const S& anchor, const S& s) {
    S sum(0);
    for (const S& z_j : sorted) sum += coordinate_profile(kernel, S((z_j - anchor) / width + s));
    return sum;
  };
  std::size_t last = 0;
  for (std::size_t beyond = sorted.size(); last + 1 < beyond;) {
    const std::size_t middle = last + (beyond - last) / 2;
    (total(sorted[middle], S(0)) < S(1) ? last : beyond) = middle;
  }
  S low(0);
  S high(1);
  while (true) {
    const S middle = low + (high - low) / S(2);
    if (!(low < middle && middle < high)) break;
    (total(sorted[last], middle) < S(1) ? low : high) = middle;
    if (high - low <= Eigen::NumTraits<S>::epsilon() * high / S(4)) break;
  }
  std::vector<S> p;
  for (const S& z_j : z) p.push_back(coordinate_profile(kernel, S((z_j - sorted[last]) / width + high)));
  return p;
}

/// Positions of the keys from most to least similar, ties by position.
template <class S>
std::vector<std::size_t> ranked(const std::vector<S>& z) {
  std::vector<std::size_t> order(z.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return z[b] < z[a]; });
  return order;
}

/// The k nearest by rank, then the kernel among them.
template <class K, class S>
std::vector<S> row(const K& kernel, const NearestNeighbors& rule, const std::vector<S>& z,
                   const std::vector<S>& distance) {
  const std::vector<std::size_t> order = ranked(z);
  const std::size_t kept = (std::min)(order.size(), static_cast<std::size_t>(rule.neighbors));
  std::vector<S> p(z.size(), S(0));
  std::vector<S> w;
  for (std::size_t rank = 0; rank < kept; ++rank) {
    const std::size_t j = order[rank];
    if constexpr (std::is_same_v<K, Gaussian>) {
      w.push_back(S(std::exp(z[j] - z[order[0]])));
    } else if constexpr (std::is_same_v<K, Uniform>) {
      w.push_back(S(1));
    } else {
      const S bandwidth2 = kept < order.size() ? distance[order[kept]] : S(0);
      w.push_back(bandwidth2 == S(0) ? S(1) : profile(kernel, S(distance[j] / bandwidth2)));
    }
  }
  w = divided_by_sum(w);
  for (std::size_t rank = 0; rank < kept; ++rank) p[order[rank]] = w[rank];
  return p;
}

// --- the operator ---

/// The weights by which values are summed, given those of a row and of its keys: least squares over the keys that have weight.
template <class S, class X, class Sim>
std::vector<S> corrected(const X& mix, const Sim& similarity, const auto& query, const auto& key,
                         const std::vector<Index>& keys, const std::vector<S>& w) {
  std::vector<std::size_t> kept;
  std::vector<S> weights_kept, c(w.size(), S(0));
  for (std::size_t j = 0; j < w.size(); ++j) {
    if (w[j] == S(0)) continue;
    kept.push_back(j);
    weights_kept.push_back(w[j]);
  }
  RowMatrix<S> rows(static_cast<Index>(kept.size()), query.size());
  for (std::size_t j = 0; j < kept.size(); ++j) rows.row(static_cast<Index>(j)) = compared<S>(similarity, key.row(keys[kept[j]]));
  const std::vector<S> fit = local_fit<S>(X::degree, S(mix.ridge), compared<S>(similarity, query), rows, weights_kept);
  for (std::size_t j = 0; j < kept.size(); ++j) c[kept[j]] = fit[j];
  return c;
}

/// The dense weights [Nq x Nk] of an operator, computed in scalar S.
template <class S, class K, class N, class Sim, class M, class X, class Q, class Ke>
RowMatrix<S> weights(const NadarayaWatson<K, N, Sim, M, X>& op, const Q& query, const Ke& key) {
  const Extent n{query.rows(), key.rows()};
  RowMatrix<S> p = RowMatrix<S>::Zero(n.queries, n.keys);
  for (Index i = 0; i < n.queries; ++i) {
    std::vector<Index> visible;
    std::vector<S> z, distance;
    const KeyRange range = op.mask().range(i, n);
    for (Index j = range.first; j < range.last; ++j) {
      if (!is_visible(op.mask(), i, j, n)) continue;
      S z_j = similarity<S>(op.similarity(), query.row(i), key.row(j));
      if constexpr (BiasMask<M>) z_j += S(op.mask().bias(i, j, n));
      visible.push_back(j);
      z.push_back(z_j);
      if constexpr (MetricSimilarity<Sim>) {
        distance.push_back(squared_distance<S>(op.similarity(), query.row(i), key.row(j)));
      }
    }
    if (visible.empty()) continue;
    std::vector<S> weights_i = row(op.kernel(), op.normalization(), z, distance);
    if constexpr (!std::is_same_v<X, LocalConstant>) {
      weights_i = corrected<S>(op.mix(), op.similarity(), query.row(i), key, visible, weights_i);
    }
    for (std::size_t j = 0; j < visible.size(); ++j) p(i, visible[j]) = weights_i[j];
  }
  return p;
}

/// The output [Nq x Dv] of an operator, computed in scalar S.
template <class S, class K, class N, class Sim, class M, class X, class Q, class Ke, class V>
RowMatrix<S> attend(const NadarayaWatson<K, N, Sim, M, X>& op, const Q& query, const Ke& key, const V& value) {
  const RowMatrix<S> p = weights<S>(op, query, key);
  RowMatrix<S> out = RowMatrix<S>::Zero(query.rows(), value.cols());
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index j = 0; j < p.cols(); ++j) {
      if (p(i, j) == S(0)) continue;
      for (Index d = 0; d < out.cols(); ++d) out(i, d) += p(i, j) * S(value(j, d));
    }
  }
  return out;
}

}  // namespace nadaraya::reference

#include "nadaraya/detail/end_precise.hpp"
