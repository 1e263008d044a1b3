// A weighted fit on columns of numbers, and the points it is fitted to. Included once for each tier, as loops.ipp says.

struct ColumnFits {
  /// Finds the points j < n with |x_j - q|^2 < bound: their keys, squared distances and offsets x_j - q, in their order. Columns
  /// of x lie `stride` apart, those of the offsets `to_stride`. All lists and columns have a pack of slack. Returns how many.
  template <class T>
  static Index points_within(const T* x, Index stride, Index cols, const KeyIndex* key, Index n, const T* q, T bound, KeyIndex* out,
                             T* squares, T* offsets, Index to_stride) {
    const PackOf<T> most = broadcast(bound);
    Index kept = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      PackOf<T> square = broadcast(T(0));
      for (Index c = 0; c < cols; ++c) {
        const PackOf<T> offset = load(x + c * stride + j) - broadcast(q[c]);
        square = fma(offset, offset, square);
      }
      const unsigned mask = above(most, square) & present<T>(n - j);
      compress_keys(out + kept, mask, key + j, T());
      if (mask == present<T>(lanes<T>)) {
        store(squares + kept, square);
        for (Index c = 0; c < cols; ++c) store(offsets + c * to_stride + kept, load(x + c * stride + j) - broadcast(q[c]));
      } else if (mask != 0) {
        compress(squares + kept, mask, square);
        for (Index c = 0; c < cols; ++c) {
          compress(offsets + c * to_stride + kept, mask, load(x + c * stride + j) - broadcast(q[c]));
        }
      }
      kept += simd::count_ones(mask);
    }
    return kept;
  }

  /// y_j = exp(rate (least - x_j)), least = min x, which is returned; n > 0.
  template <class T>
  static T exponentials(const T* x, Index n, T rate, T* y) {
    PackOf<T> lowest = broadcast(x[0]);
    for (Index j = 0; j < n; j += lanes<T>) {
      const PackOf<T> at = n - j < lanes<T> ? load_part(x + j, n - j, broadcast(x[0])) : load(x + j);
      lowest = where_less(at, lowest, at, lowest);
    }
    T all[PackOf<T>::lanes];
    store(all, lowest);
    T least = all[0];
    for (const T one : all) least = one < least ? one : least;
    const PackOf<T> from = broadcast(least), factor = broadcast(rate);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      store_up_to(y + j, exp(factor * (from - load_up_to(x + j, count))), count);
    });
    return least;
  }

  /// sum_j x_j y_j
  template <class T>
  static T inner_product(const T* x, const T* y, Index n) {
    return sum<T>(n, [&](Index j, Index count, const PackOf<T>& so_far) NADARAYA_INLINE_LAMBDA {
      return fma(load_up_to(x + j, count), load_up_to(y + j, count), so_far);
    });
  }

  /// sum_j x_j y_j z_j^2
  template <class T>
  static T inner_product_of_squares(const T* x, const T* y, const T* z, Index n) {
    return sum<T>(n, [&](Index j, Index count, const PackOf<T>& so_far) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> at = load_up_to(z + j, count);
      return fma(load_up_to(x + j, count) * load_up_to(y + j, count), at * at, so_far);
    });
  }

  /// Divides w by its sum, which is returned, and takes mean_c = sum_j w_j x_jc off each column.
  template <class T>
  static T centre_columns(T* w, Index n, T* x, Index stride, Index cols, T* mean) {
    const T mass = sum<T>(n, [&](Index j, Index count, const PackOf<T>& so_far) NADARAYA_INLINE_LAMBDA {
      return so_far + load_up_to(w + j, count);
    });
    if (mass >= (std::numeric_limits<T>::min)()) {  // its inverse is finite, and far cheaper
      Elements::scale(w, n, T(1) / mass, w);
    } else {
      Elements::divide(w, n, mass, w);
    }
    for (Index c = 0; c < cols; ++c, x += stride) {
      mean[c] = inner_product(w, x, n);
      const PackOf<T> middle = broadcast(mean[c]);
      each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { store_up_to(x + j, load_up_to(x + j, count) - middle, count); });
    }
    return mass;
  }

  /// to_c = sum_j w_j y_j x_jc
  template <class T>
  static void products_with_columns(const T* w, const T* y, Index n, const T* x, Index stride, Index cols, T* to) {
    for (Index c = 0; c < cols; ++c, x += stride) {
      to[c] = sum<T>(n, [&](Index j, Index count, const PackOf<T>& so_far) NADARAYA_INLINE_LAMBDA {
        return fma(load_up_to(w + j, count) * load_up_to(y + j, count), load_up_to(x + j, count), so_far);
      });
    }
  }

  /// to[c][d] = sum_j w_j x_jc x_jd for d >= c.
  template <class T>
  static void products_of_columns(const T* w, Index n, const T* x, Index stride, Index cols, T* to, Index to_stride) {
    for (Index c = 0; c < cols; ++c) {
      const T* const left = x + c * stride;
      for (Index d = c; d < cols; ++d) {
        const T* const right = x + d * stride;
        to[c * to_stride + d] = sum<T>(n, [&](Index j, Index count, const PackOf<T>& so_far) NADARAYA_INLINE_LAMBDA {
          return fma(load_up_to(w + j, count) * load_up_to(left + j, count), load_up_to(right + j, count), so_far);
        });
      }
    }
  }

  /// y_j += sum_c factor_c x_jc
  template <class T>
  static void add_columns(const T* factor, Index n, const T* x, Index stride, Index cols, T* y) {
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      PackOf<T> at = load_up_to(y + j, count);
      for (Index c = 0; c < cols; ++c) at = fma(broadcast(factor[c]), load_up_to(x + c * stride + j, count), at);
      store_up_to(y + j, at, count);
    });
  }

  /// y_j -= constant
  template <class T>
  static void subtract(T constant, Index n, T* y) {
    const PackOf<T> less = broadcast(constant);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { store_up_to(y + j, load_up_to(y + j, count) - less, count); });
  }

  /// z_j = ((1 + x_j) y_j + constant) factor
  template <class T>
  static void tilted(const T* x, const T* y, Index n, T constant, T factor, T* z) {
    const PackOf<T> one(T(1)), more = broadcast(constant), by = broadcast(factor);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      store_up_to(z + j, fma(one + load_up_to(x + j, count), load_up_to(y + j, count), more) * by, count);
    });
  }

 private:
  /// The sum of n terms; term(j, count, sum) adds those of a pack. Four sums, so that one need not wait for the other.
  template <class T, class Term>
  NADARAYA_INLINE static T sum(Index n, const Term& term) {
    PackOf<T> sums[4] = {broadcast(T(0)), broadcast(T(0)), broadcast(T(0)), broadcast(T(0))};
    Index j = 0;
    for (; j + 4 * lanes<T> <= n; j += 4 * lanes<T>) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) sums[k] = term(j + k * lanes<T>, lanes<T>, sums[k]);
    }
    for (; j < n; j += lanes<T>) sums[0] = term(j, n - j, sums[0]);
    return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
};
