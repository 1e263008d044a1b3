// Products of rows with one vector. Included once for each tier, as loops.ipp says. All sum in one order, whatever rows
// they are given together: equal rows have equal products, bit by bit.

struct Dots {
  /// z[j] = factor (x[j] . y), for n rows of x.
  template <class T>
  static void products(const T* x, Index stride, Index n, Index cols, const T* y, T* z, T factor) {
    Index j = 0;
    for (; j + 4 <= n; j += 4) {
      const T* row = x + j * stride;
      T product[4];
      four_dots({row, row + stride, row + 2 * stride, row + 3 * stride}, cols, y, product);
#pragma GCC unroll 4
      for (Index i = 0; i < 4; ++i) z[j + i] = product[i] * factor;
    }
    for (; j < n; ++j) z[j] = dot(x + j * stride, y, cols) * factor;
  }

  /// z[i][j] = factor (x[j] . y[i]), for n rows of x and some of y: products, but a row of x is read once for several of y.
  template <class T>
  static void products_of_rows(const T* x, Index stride, Index n, Index cols, const T* y, Index y_stride, Index rows, T* z,
                               Index z_stride, T factor) {
    // Rows of y that are left read those of x again, while these are near.
    constexpr Index panel = 32;
    const Index whole = n - n % 4, grouped = rows - rows % rows_at_once;
    for (Index first = 0; first < whole; first += panel) {
      const Index last = first + panel < whole ? first + panel : whole;
      for (Index j = first; grouped > 0 && j < last; j += 4) {
        const T* row = x + j * stride;
        const T* const four[4] = {row, row + stride, row + 2 * stride, row + 3 * stride};
        for (Index i = 0; i < grouped; i += rows_at_once) {
          T product[rows_at_once][4];
          four_dots<rows_at_once>(four, cols, y + i * y_stride, y_stride, product);
#pragma GCC unroll 4
          for (Index k = 0; k < rows_at_once; ++k) {
#pragma GCC unroll 4
            for (Index l = 0; l < 4; ++l) z[(i + k) * z_stride + j + l] = product[k][l] * factor;
          }
        }
      }
      for (Index i = grouped; i < rows; ++i) {
        products(x + first * stride, stride, last - first, cols, y + i * y_stride, z + i * z_stride + first, factor);
      }
    }
    for (Index j = whole; j < n; ++j) {
      for (Index i = 0; i < rows; i += 4) {
        const Index some = rows - i < 4 ? rows - i : 4;
        T product[4];
        products(y + i * y_stride, y_stride, some, cols, x + j * stride, product, factor);
        for (Index k = 0; k < some; ++k) z[(i + k) * z_stride + j] = product[k];
      }
    }
  }

  /// g_j = x[key_j] . y, and 0 without reading where p_j = 0.
  template <class T>
  static void dots(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, const T* y, T* g) {
    const auto row = [&](Index j) NADARAYA_INLINE_LAMBDA { return x + key[j] * stride; };
    for (Index j = 0; j < n;) {
      if (j + 4 <= n && p[j] != T(0) && p[j + 1] != T(0) && p[j + 2] != T(0) && p[j + 3] != T(0)) {
        for (Index i = j + 4; i < (j + 8 < n ? j + 8 : n); ++i) fetch(row(i), cols);
        four_dots({row(j), row(j + 1), row(j + 2), row(j + 3)}, cols, y, g + j);
        j += 4;
        continue;
      }
      g[j] = p[j] == T(0) ? T(0) : dot(row(j), y, cols);
      ++j;
    }
  }

  /// z[place_j] = factor (x[key[place_j]] . y)
  template <class T>
  static void scores(const KeyIndex* place, Index n, const KeyIndex* key, const T* x, Index stride, Index cols, const T* y,
                     T* z, T factor) {
    const auto row = [&](Index j) NADARAYA_INLINE_LAMBDA { return x + key[place[j]] * stride; };
    for (Index j = 0; j < n; j += 4) {
      for (Index i = j + 4; i < (j + 8 < n ? j + 8 : n); ++i) fetch(row(i), cols);
      // Of the last four, some may be the last once more.
      const Index last = n - 1;
      const Index second = j + 1 < last ? j + 1 : last, third = j + 2 < last ? j + 2 : last, fourth = j + 3 < last ? j + 3 : last;
      T product[4];
      four_dots({row(j), row(second), row(third), row(fourth)}, cols, y, product);
      z[place[j]] = product[0] * factor;
      z[place[second]] = product[1] * factor;
      z[place[third]] = product[2] * factor;
      z[place[fourth]] = product[3] * factor;
    }
  }

  /// Prefetches the rows x[key[place_j]].
  template <class T>
  static void fetch_rows(const KeyIndex* place, Index n, const KeyIndex* key, const T* x, Index stride, Index cols) {
    for (Index j = 0; j < n; ++j) fetch(x + key[place[j]] * stride, cols);
  }

 private:
  /// x . y, summed as four_dots sums.
  template <class T>
  NADARAYA_INLINE static T dot(const T* x, const T* y, Index n) {
    PackOf<T> sum = broadcast(T(0));
    each<T>(n, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
      sum = fma(load_up_to(x + c, count), load_up_to(y + c, count), sum);
    });
    return total_as_of_four(sum);
  }

  /// Rows of y whose sums with four of x are formed in registers.
  static constexpr Index rows_at_once = bytes == 64 ? 4 : 2;

  /// Writes the products of four rows with y, formed column by column, so that none waits for another's sum.
  template <class T>
  NADARAYA_INLINE static void four_dots(const T* const (&x)[4], Index cols, const T* y, T* to) {
    T products[1][4];
    four_dots<1>(x, cols, y, Index(0), products);
#pragma GCC unroll 4
    for (Index i = 0; i < 4; ++i) to[i] = products[0][i];
  }

  /// The same for some rows of y.
  template <Index Rows, class T>
  NADARAYA_INLINE static void four_dots(const T* const (&x)[4], Index cols, const T* y, Index y_stride, T (&to)[Rows][4]) {
    PackOf<T> sum[Rows][4];
#pragma GCC unroll 4
    for (Index k = 0; k < Rows; ++k) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[k][i] = broadcast(T(0));
    }
    each<T>(cols, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
      PackOf<T> part[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) part[i] = load_up_to(x[i] + c, count);
#pragma GCC unroll 4
      for (Index k = 0; k < Rows; ++k) {
        const PackOf<T> factor = load_up_to(y + k * y_stride + c, count);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) sum[k][i] = fma(part[i], factor, sum[k][i]);
      }
    });
#pragma GCC unroll 4
    for (Index k = 0; k < Rows; ++k) totals_of(sum[k], to[k]);
  }
};
