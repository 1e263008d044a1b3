// Sums of weighted rows. Included once for each tier, as loops.ipp says.

struct WeightedRows {
  /// out = sum_j p_j x[key_j]. Rows with p_j = 0 are not read.
  template <class T>
  static void mix(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, T* out) {
    Index c = 0;
    for (; c + 8 * lanes<T> <= cols; c += 8 * lanes<T>) mix_columns<8>(key, p, n, x, stride, c, out + c, 8 * lanes<T>);
    if (c + 4 * lanes<T> <= cols) {
      mix_columns<4>(key, p, n, x, stride, c, out + c, 4 * lanes<T>);
      c += 4 * lanes<T>;
    }
    if constexpr (bytes > 32) {
      if (c + 2 * lanes<T> <= cols) {
        mix_columns<2>(key, p, n, x, stride, c, out + c, 2 * lanes<T>);
        c += 2 * lanes<T>;
      }
    }
    for (; c < cols; c += lanes<T>) {
      mix_columns<1>(key, p, n, x, stride, c, out + c, cols - c < lanes<T> ? cols - c : lanes<T>);
    }
  }

  /// x[key] += p y[query] for the pairs with p != 0. Counts the pairs of each key in terms[key - first], and stops after
  /// the pair that makes pair_run_terms of them; returns how many pairs are done.
  template <class T>
  static Index scatter_weights(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x,
                               Index x_stride, KeyIndex first, std::uint16_t* terms) {
    for (Index j = 0; j < n; ++j) {
      if (j + pairs_ahead < n) fetch(x + pairs[j + pairs_ahead].key * x_stride, cols);
      add_scaled(pairs[j].p, y + pairs[j].query * y_stride, cols, x + pairs[j].key * x_stride);
      if (++terms[pairs[j].key - first] == pair_run_terms) return j + 1;
    }
    return n;
  }

  /// x[key] += dz y[query] for the pairs with dz != 0.
  template <class T>
  static void scatter_gradients(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x,
                                Index x_stride) {
    for (Index j = 0; j < n; ++j) {
      if (j + pairs_ahead < n) fetch(x + pairs[j + pairs_ahead].key * x_stride, cols);
      add_scaled(pairs[j].dz, y + pairs[j].query * y_stride, cols, x + pairs[j].key * x_stride);
    }
  }

 private:
  static constexpr Index pairs_ahead = 8;
  static constexpr Index keys_ahead = 4;

  /// to += factor from, unless the factor is 0.
  template <class T>
  NADARAYA_INLINE static void add_scaled(T factor, const T* from, Index cols, T* to) {
    if (factor == T(0)) return;
    const PackOf<T> by = broadcast(factor);
    each<T>(cols, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
      store_up_to(to + c, fma(by, load_up_to(from + c, count), load_up_to(to + c, count)), count);
    });
  }

  template <int Packs, class T>
  NADARAYA_INLINE static void mix_columns(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index first,
                                          T* out, Index cols) {
    // Keys take turns at several sums, so that none waits for the one before.
    constexpr int Turns = Packs == 1 ? 2 : 8 / Packs;
    // Rows that lie so near one another are in the first-level cache soon.
    constexpr Index line = 64 / static_cast<Index>(sizeof(T)), nearby = 512 * line;
    const Index fetched = n > 0 && (key[n - 1] - key[0]) * stride > nearby ? n - keys_ahead : 0;
    PackOf<T> all[Packs];
#pragma GCC unroll 8
    for (int c = 0; c < Packs; ++c) all[c] = broadcast(T(0));
    for (Index begin = 0; begin < n; begin += list_run_terms) {
      const Index end = n - begin < list_run_terms ? n : begin + list_run_terms;
      PackOf<T> sum[Turns][Packs];
#pragma GCC unroll 8
      for (int i = 0; i < Turns; ++i) {
#pragma GCC unroll 8
        for (int c = 0; c < Packs; ++c) sum[i][c] = broadcast(T(0));
      }
      for (Index j = begin; j < end; j += Turns) {
#pragma GCC unroll 8
        for (int i = 0; i < Turns; ++i) {
          if (j + i < fetched) {
            const T* ahead = x + key[j + i + keys_ahead] * stride + first;
#pragma GCC unroll 8
            for (Index c = 0; c < Packs * lanes<T>; c += line) simd::prefetch(ahead + c);
          }
          if ((i > 0 && j + i >= end) || p[j + i] == T(0)) continue;
          const PackOf<T> factor = broadcast(p[j + i]);
          const T* row = x + key[j + i] * stride + first;
#pragma GCC unroll 8
          for (int c = 0; c < Packs; ++c) sum[i][c] = fma(factor, load_up_to(row + c * lanes<T>, cols - c * lanes<T>), sum[i][c]);
        }
      }
#pragma GCC unroll 8
      for (int c = 0; c < Packs; ++c) {
#pragma GCC unroll 8
        for (int i = Turns; i > 1; i /= 2) {
#pragma GCC unroll 8
          for (int k = 0; k < i / 2; ++k) sum[k][c] = sum[k][c] + sum[k + i / 2][c];
        }
        all[c] = all[c] + sum[0][c];
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < Packs; ++c) store_up_to(out + c * lanes<T>, all[c], cols - c * lanes<T>);
  }
};
