// Scalars and rows on their own: scaled, transposed, compared. Included once for each tier, as loops.ipp says.

/// Transposes as many packs as they have lanes, from the bit S of a lane's number on.
template <Index S, class T, std::size_t Lanes>
NADARAYA_INLINE void exchange_from(T (&row)[Lanes]) {
  if constexpr (S < static_cast<Index>(Lanes)) {
#pragma GCC unroll 16
    for (Index j = 0; j < static_cast<Index>(Lanes); ++j) {
      if ((j & S) == 0) simd::exchange<static_cast<std::size_t>(S)>(row[j], row[j + S]);
    }
    exchange_from<2 * S>(row);
  }
}

struct Elements {
  /// z[j] += slope x[j] + constant. z and x may be read and written to a whole pack past n.
  template <class T>
  static void shift(T* z, const T* x, Index n, T slope, T constant) {
    const PackOf<T> a = broadcast(slope), c = broadcast(constant);
    for (Index j = 0; j < n; j += lanes<T>) store(z + j, load(z + j) + fma(a, load(x + j), c));
  }

  /// y = factor x
  template <class T>
  static void scale(const T* x, Index n, T factor, T* y) {
    const PackOf<T> by = broadcast(factor);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { store_up_to(y + j, by * load_up_to(x + j, count), count); });
  }

  /// y = x / divisor
  template <class T>
  static void divide(const T* x, Index n, T divisor, T* y) {
    const PackOf<T> by = broadcast(divisor);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { store_up_to(y + j, load_up_to(x + j, count) / by, count); });
  }

  /// to[c][j] = x[j][c] for n rows of x. Rows lie `stride` apart, and `to_stride`.
  template <class T>
  static void transpose(const T* x, Index stride, Index n, Index cols, T* to, Index to_stride) {
    // Then there need not be a `to` to count from.
    if (cols == 0) return;
    Index j = 0;
    for (; j + lanes<T> <= n; j += lanes<T>) {
      Index c = 0;
      for (; c + lanes<T> <= cols; c += lanes<T>) {
        transpose_tile(x + j * stride + c, stride, to + c * to_stride + j, to_stride);
      }
      transpose_rest(x + j * stride, stride, lanes<T>, c, cols, to + j, to_stride);
    }
    transpose_rest(x + j * stride, stride, n - j, Index(0), cols, to + j, to_stride);
  }

  /// The largest of n > 0 scalars; undefined if one of them is NaN.
  template <class T>
  static T largest(const T* z, Index n) {
    if (n < lanes<T>) return largest_lane(load_part(z, n, broadcast(z[0])));
    PackOf<T> top = load(z);
    for (Index j = lanes<T>; j + lanes<T> <= n; j += lanes<T>) top = larger(top, load(z + j));
    return largest_lane(larger(top, load(z + n - lanes<T>)));
  }

  /// Is any of them NaN or above the bound?
  template <class T>
  static bool any_above(const T* z, Index n, T floor) {
    const PackOf<T> bound = broadcast(floor);
    unsigned mask = 0;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { mask |= above(load_up_to(z + j, count), bound) & present<T>(count); });
    return mask != 0;
  }

  /// Is none of them NaN or infinite?
  template <class T>
  static bool all_finite(const T* x, Index n) {
    const PackOf<T> zero = broadcast(T(0));
    unsigned mask = 0;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { mask |= above(load_up_to(x + j, count) * zero, zero); });
    return mask == 0;
  }

  /// The middle of n > 0 rows, to the last digit or so, and the largest distance of a number from that
  /// of its column; negative if a number is not finite.
  template <class T>
  static T centre_rows(const T* x, Index stride, Index n, Index cols, T* centre) {
    const T share = T(1) / static_cast<T>(n);
    PackOf<T> most = broadcast(T(0));
    each<T>(cols, [&](Index d, Index count) NADARAYA_INLINE_LAMBDA {
      PackOf<T> sum = broadcast(T(0));
      for (Index j = 0; j < n; ++j) sum = sum + load_up_to(x + j * stride + d, count);
      const PackOf<T> middle = sum * broadcast(share);
      store_up_to(centre + d, middle, count);
      for (Index j = 0; j < n; ++j) {
        const PackOf<T> from = load_up_to(x + j * stride + d, count) - middle;
        most = larger(most, larger(from, -from));
      }
    });
    return all_finite(centre, cols) ? largest_lane(most) : T(-1);
  }

  /// The largest |x|; negative if a number is not finite.
  template <class T>
  static T largest_size(const T* x, Index n) {
    PackOf<T> most = broadcast(T(0));
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> some = load_up_to(x + j, count);
      most = larger(most, larger(some, -some));
    });
    return all_finite(x, n) ? largest_lane(most) : T(-1);
  }

 private:
  template <class T>
  NADARAYA_INLINE static void transpose_tile(const T* x, Index stride, T* to, Index to_stride) {
    PackOf<T> row[lanes<T>];
#pragma GCC unroll 16
    for (Index j = 0; j < lanes<T>; ++j) row[j] = load(x + j * stride);
    exchange_from<1>(row);
#pragma GCC unroll 16
    for (Index j = 0; j < lanes<T>; ++j) store(to + j * to_stride, row[j]);
  }

  template <class T>
  NADARAYA_INLINE static void transpose_rest(const T* x, Index stride, Index n, Index first, Index cols, T* to,
                                             Index to_stride) {
    for (Index c = first; c < cols; ++c) {
      for (Index j = 0; j < n; ++j) to[c * to_stride + j] = x[j * stride + c];
    }
  }
};
