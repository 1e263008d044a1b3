// The engine's loops for any scalar and any kernel, one element after the other.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/normalization/row_map.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// Rows with at most `longest_short_row` candidates are short: up to `most_rows_at_once` of them are solved together.
inline constexpr Index longest_short_row = 128;
inline constexpr std::size_t most_rows_at_once = 16;

/// What sums over a row are formed in.
template <class Scalar>
using Wide = std::conditional_t<std::is_same_v<Scalar, float>, double, Scalar>;

/// How far from one the total of n weights may be where Newton's next step is the last: what that step leaves is below
/// the rounding of the weights. For r = 1 it leaves nothing unless the support changes.
template <class Scalar>
Scalar settled_excess(bool linear, Index n) {
  const Scalar epsilon(Eigen::NumTraits<Scalar>::epsilon());
  return linear ? Scalar(Scalar(4) * epsilon) : detail::sqrt(Scalar(epsilon / Scalar(static_cast<double>(4 * n))));
}

/// Terms of a sum over keys or queries that are added up before they are added to the total: in one accumulator the
/// rounding error would grow with their number. Of the keys or queries of a product of matrices; of the keys of a list,
/// none of which is without weight; and of a key's pairs.
inline constexpr Index run_terms = 256;
inline constexpr Index list_run_terms = 32;
inline constexpr Index pair_run_terms = 64;

/// Sums over a row's support.
template <class Scalar>
struct ProfileSums {
  Scalar value;  ///< of kappa(t)
  Scalar slope;  ///< of kappa'(t)
};

/// Where the candidates of one query among the keys of a panel go. Both pointers move with them.
template <class T>
struct Candidates {
  T* z = nullptr;
  KeyIndex* key = nullptr;
  KeyIndex* full = nullptr;   ///< key's last place before which there is room for a whole panel
  T floor = T(0);             ///< a score above it, or NaN, is a candidate
  T shift = T(0);             ///< added to every number
  std::uint64_t visible = 0;  ///< bit j: does the query see key j of the panel?
};

/// A query and a key that it gives weight, on the way back.
template <class T>
struct Pair {
  KeyIndex query;
  KeyIndex key;
  T p;   ///< the weight
  T dz;  ///< dL/dz
};

/// Sums over a row of factor s_j and of factor s_j (g_j - origin).
template <class Scalar>
struct Moments {
  Wide<Scalar> mass;
  Wide<Scalar> first;
};

/// What each does is said in engine/loops.ipp, where the same names have vector bodies; here the
/// kernel itself knows its edge.
struct Portable {
  template <class T>
  static void transpose(const T* x, Index stride, Index n, Index cols, T* to, Index to_stride) {
    for (Index c = 0; c < cols; ++c) {
      for (Index j = 0; j < n; ++j) to[c * to_stride + j] = x[j * stride + c];
    }
  }

  template <class T>
  static Index filter(const T* z, Index n, const T& floor, KeyIndex first, T* out_z, KeyIndex* out_key) {
    Index kept = 0;
    for (Index j = 0; j < n; ++j) {
      if (z[j] <= floor) continue;
      out_z[kept] = z[j];
      out_key[kept++] = first + static_cast<KeyIndex>(j);
    }
    return kept;
  }

  template <class T>
  static Index prune(T* z, KeyIndex* key, Index n, const T& floor) {
    Index kept = 0;
    for (Index j = 0; j < n; ++j) {
      if (z[j] <= floor) continue;
      z[kept] = z[j];
      key[kept++] = key[j];
    }
    return kept;
  }

  template <class T>
  static T largest(const T* z, Index n) {
    T top(z[0]);
    for (Index j = 1; j < n; ++j) {
      if (top < z[j]) top = z[j];
    }
    return top;
  }

  template <class T>
  static bool any_above(const T* z, Index n, const T& bound) {
    for (Index j = 0; j < n; ++j) {
      if (!(z[j] <= bound)) return true;
    }
    return false;
  }

  template <class K, class T>
  static ProfileSums<T> profile_sums(const K& kernel, const RowMap<T>& map, const T&, const T* z, Index n) {
    const auto sums = exact_sums(kernel, map, T(0), z, n);
    return ProfileSums<T>{static_cast<T>(sums.value), static_cast<T>(sums.slope)};
  }

  template <class K, class T>
  static ProfileSums<Wide<T>> exact_sums(const K& kernel, const RowMap<T>& map, const T&, const T* z, Index n) {
    const auto size = static_cast<std::size_t>(n);
    const auto value = detail::sum<Wide<T>>(size, [&](std::size_t j) {
      const T t = map.coordinate(z[j]);
      return in_support(kernel, t) ? Wide<T>(kernel.profile(t)) : Wide<T>(0);
    });
    const auto slope = detail::sum<Wide<T>>(
        size, [&](std::size_t j) { return Wide<T>(profile_derivative(kernel, map.coordinate(z[j]))); });
    return ProfileSums<Wide<T>>{value, slope};
  }

  template <class K, class T, class Next>
  static void descend(const K& kernel, RowMap<T>& map, const T& edge, const T* z, Index n, const Next& next) {
    while (next(profile_sums(kernel, map, edge, z, n))) {}
  }

  template <class K, class T>
  static Index weigh(const K& kernel, const RowMap<T>& map, const T&, bool keep_all, T* z, KeyIndex* key, Index n,
                     T* p) {
    Index kept = 0;
    for (Index j = 0; j < n; ++j) {
      const T t = map.coordinate(z[j]);
      if (!keep_all && !in_support(kernel, t)) continue;
      z[kept] = t;
      key[kept] = key[j];
      p[kept++] = weight(kernel, map, t);
    }
    return kept;
  }

  template <class K, class T>
  static void weights(const K& kernel, const RowMap<T>& map, const T&, const T* t, Index n, T* p) {
    for (Index j = 0; j < n; ++j) p[j] = weight(kernel, map, t[j]);
  }

  template <class K, class T>
  static void slopes(const K& kernel, const T&, const T& divisor, const T* t, Index n, T* s) {
    for (Index j = 0; j < n; ++j) s[j] = T(profile_derivative(kernel, t[j]) / divisor);
  }

  template <class T>
  static Moments<T> moments(const T* s, const T& factor, const T* g, const T& origin, Index n) {
    const auto size = static_cast<std::size_t>(n);
    return Moments<T>{
        detail::sum<Wide<T>>(size, [&](std::size_t j) { return Wide<T>(s[j] * factor); }),
        detail::sum<Wide<T>>(size, [&](std::size_t j) { return Wide<T>(s[j] * factor * (g[j] - origin)); })};
  }

  template <class T>
  static T deviate(T* s, const T* g, const T& origin, const T& mean, Index n) {
    return detail::sum<T>(static_cast<std::size_t>(n), [&](std::size_t j) {
      s[j] = T(s[j] * ((g[j] - origin) - mean));
      return s[j];
    });
  }

  template <class T>
  static void mix(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, T* out) {
    for (Index c = 0; c < cols; ++c) out[c] = T(0);
    for (Index j = 0; j < n; ++j) {
      if (p[j] == T(0)) continue;
      const T* row = x + key[j] * stride;
      for (Index c = 0; c < cols; ++c) out[c] += p[j] * row[c];
    }
  }

  template <class T>
  static void dots(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, const T* y, T* g) {
    for (Index j = 0; j < n; ++j) {
      g[j] = T(0);
      if (p[j] == T(0)) continue;
      const T* row = x + key[j] * stride;
      for (Index c = 0; c < cols; ++c) g[j] += row[c] * y[c];
    }
  }

  template <auto Factor, bool Counted, class T>
  static Index scatter(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x, Index x_stride,
                       KeyIndex first, std::uint16_t* terms) {
    for (Index j = 0; j < n; ++j) {
      const T& factor = pairs[j].*Factor;
      if (!(factor == T(0))) {
        for (Index c = 0; c < cols; ++c) x[pairs[j].key * x_stride + c] += factor * y[pairs[j].query * y_stride + c];
      }
      if (Counted && ++terms[pairs[j].key - first] == pair_run_terms) return j + 1;
    }
    return n;
  }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
