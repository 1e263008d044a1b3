// The engine's loops for any scalar and any kernel, one element after the other.
#pragma once

#include "nadaraya/detail/math.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

/// What each does is said in loops/*.ipp, where the same names have vector bodies; here the
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
  static ProfileSums<T> profile_sums(const K& kernel, const RowNormalizer<T>& map, const T&, const T* z, Index n) {
    const auto sums = exact_sums(kernel, map, T(0), z, n);
    return ProfileSums<T>{static_cast<T>(sums.value), static_cast<T>(sums.slope)};
  }

  template <class K, class T>
  static ProfileSums<Wide<T>> exact_sums(const K& kernel, const RowNormalizer<T>& map, const T&, const T* z, Index n) {
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
  static void descend(const K& kernel, RowNormalizer<T>& map, const T& edge, const T* z, Index n, const Next& next) {
    while (next(profile_sums(kernel, map, edge, z, n))) {}
  }

  template <class K, class T>
  static Index weigh(const K& kernel, const RowNormalizer<T>& map, const T&, bool keep_all, T* z, KeyIndex* key, Index n,
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
  static void weights(const K& kernel, const RowNormalizer<T>& map, const T&, const T* t, Index n, T* p) {
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

  template <class T>
  static Index scatter_weights(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x,
                               Index x_stride, KeyIndex first, std::uint16_t* terms) {
    for (Index j = 0; j < n; ++j) {
      add_scaled(pairs[j].p, y + pairs[j].query * y_stride, cols, x + pairs[j].key * x_stride);
      if (++terms[pairs[j].key - first] == pair_run_terms) return j + 1;
    }
    return n;
  }

  template <class T>
  static void scatter_gradients(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x,
                                Index x_stride) {
    for (Index j = 0; j < n; ++j) {
      add_scaled(pairs[j].dz, y + pairs[j].query * y_stride, cols, x + pairs[j].key * x_stride);
    }
  }

  template <class T>
  static T inner_product(const T* x, const T* y, Index n) {
    T sum(0);
    for (Index j = 0; j < n; ++j) sum += x[j] * y[j];
    return sum;
  }

  template <class T>
  static T centre_columns(T* w, Index n, T* x, Index stride, Index cols, T* mean) {
    T mass(0);
    for (Index j = 0; j < n; ++j) mass += w[j];
    for (Index j = 0; j < n; ++j) w[j] /= mass;
    for (Index c = 0; c < cols; ++c) {
      mean[c] = inner_product(w, x + c * stride, n);
      subtract(mean[c], n, x + c * stride);
    }
    return mass;
  }

  template <class T>
  static void products_with_columns(const T* w, const T* y, Index n, const T* x, Index stride, Index cols, T* to) {
    for (Index c = 0; c < cols; ++c, x += stride) {
      to[c] = T(0);
      for (Index j = 0; j < n; ++j) to[c] += w[j] * y[j] * x[j];
    }
  }

  template <class T>
  static void products_of_columns(const T* w, Index n, const T* x, Index stride, Index cols, T* to, Index to_stride) {
    for (Index c = 0; c < cols; ++c) {
      for (Index d = c; d < cols; ++d) {
        products_with_columns(w, x + c * stride, n, x + d * stride, stride, Index(1), to + c * to_stride + d);
      }
    }
  }

  template <class T>
  static void add_columns(const T* factor, Index n, const T* x, Index stride, Index cols, T* y) {
    for (Index c = 0; c < cols; ++c) {
      for (Index j = 0; j < n; ++j) y[j] += factor[c] * x[c * stride + j];
    }
  }

  template <class T>
  static void subtract(const T& constant, Index n, T* y) {
    for (Index j = 0; j < n; ++j) y[j] -= constant;
  }

  template <class T>
  static void tilted(const T* x, const T* y, Index n, const T& constant, const T& factor, T* z) {
    for (Index j = 0; j < n; ++j) z[j] = ((T(1) + x[j]) * y[j] + constant) * factor;
  }

 private:
  template <class T>
  static void add_scaled(const T& factor, const T* from, Index cols, T* to) {
    if (factor == T(0)) return;
    for (Index c = 0; c < cols; ++c) to[c] += factor * from[c];
  }
};

}  // namespace nadaraya::engine

#include "nadaraya/detail/end_precise.hpp"
