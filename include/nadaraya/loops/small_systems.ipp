// A fit on a few rows: their offsets, and the system that is solved for it. Included once for each tier, as loops.ipp says.

struct SmallSystems {
  /// to[j] = factor_j (x[key_j] - from) for n rows of x; without a list, its first n. The rows of `to` are contiguous.
  template <class T>
  static void offset_rows(const KeyIndex* key, const T* factor, Index n, const T* x, Index stride, Index cols, const T* from,
                          T* to) {
    for (Index j = 0; j < n; ++j, to += cols) {
      const T* const row = x + (key == nullptr ? j : Index(key[j])) * stride;
      const PackOf<T> by = broadcast(factor[j]);
      each<T>(cols, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
        store_up_to(to + c, by * (load_up_to(row + c, count) - load_up_to(from + c, count)), count);
      });
    }
  }

  /// Factorizes A + least I = L D L^T, A [n x n] positive semidefinite up to rounding, in columns `stride` apart, of which the
  /// lower triangle is read. The exact pivots are at least `least`; one that rounding takes below it counts as `least`.
  /// Column j becomes row j of -L, then 1 / d_j, then column j of L D. A pack past a column is read and written. O(n^3 / 3).
  template <class T>
  static void factorize(Index n, T* a, Index stride, T least) {
    for (Index j = 0; j < n; ++j) {
      T* const column = a + j * stride;
      const T* left = a;
      for (Index k = 0; k < j; ++k, left += stride) column[k] = -left[j] * left[k];
      Index i = j;
      for (; i + lanes<T> < n; i += 2 * lanes<T>) add_products<2>(j, a + i, stride, column, column + i);
      if (i < n) add_products<1>(j, a + i, stride, column, column + i);
      const T pivot = column[j] + least;
      column[j] = T(1) / (pivot < least ? least : pivot);
    }
  }

  /// Replaces x by the solution for x on the right, given the factors. A pack past x and past `rest` [n] is read and written.
  /// O(n^2).
  template <class T>
  static void substitute(Index n, const T* factors, Index stride, T* x, T* rest) {
    const auto add = [&](T factor, Index j, Index begin, Index end, T* to) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> by = broadcast(factor);
      for (Index i = begin; i < end; i += lanes<T>) store(to + i, fma(by, load(factors + j * stride + i), load(to + i)));
    };
    // Whole packs: numbers that are done change, and are not read again.
    for (Index j = 0; j < n; ++j) {
      rest[j] = x[j] * factors[j * stride + j];
      add(-rest[j], j, j - j % lanes<T>, n, x);
    }
    for (Index j = n - 1; j >= 0; --j) {
      x[j] = rest[j];
      add(x[j], j, 0, j, rest);
    }
  }

 private:
  /// to += sum_k factor_k x[k], n terms.
  template <int Packs, class T>
  NADARAYA_INLINE static void add_products(Index n, const T* x, Index stride, const T* factor, T* to) {
    PackOf<T> sum[Packs];
#pragma GCC unroll 2
    for (int c = 0; c < Packs; ++c) sum[c] = load(to + c * lanes<T>);
    for (Index k = 0; k < n; ++k, x += stride) {
      const PackOf<T> by = broadcast(factor[k]);
#pragma GCC unroll 2
      for (int c = 0; c < Packs; ++c) sum[c] = fma(by, load(x + c * lanes<T>), sum[c]);
    }
#pragma GCC unroll 2
    for (int c = 0; c < Packs; ++c) store(to + c * lanes<T>, sum[c]);
  }
};
