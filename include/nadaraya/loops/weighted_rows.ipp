// Sums of weighted rows. Included once for each tier, as loops.ipp says.

struct WeightedRows {
  /// out = sum_j p_j x[key_j]. Rows with p_j = 0 are not read.
  template <class T>
  static void mix(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, T* out) {
    Index c = 0;
    for (; c + 8 * lanes<T> <= cols; c += 8 * lanes<T>) mix_columns<8>(key, p, n, x, stride, c, out + c, 8 * lanes<T>);
    for (; c + 4 * lanes<T> <= cols; c += 4 * lanes<T>) mix_columns<4>(key, p, n, x, stride, c, out + c, 4 * lanes<T>);
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
    Index begin = 0;
    do {
      const Index end = n - begin < list_run_terms ? n : begin + list_run_terms;
      PackOf<T> sum[Packs];
#pragma GCC unroll 8
      for (int c = 0; c < Packs; ++c) sum[c] = PackOf<T>(T(0));
      for (Index j = begin; j < end; ++j) {
        if (j + 4 < n) fetch(x + key[j + 4] * stride + first, cols);
        if (p[j] == T(0)) continue;
        const PackOf<T> factor = broadcast(p[j]);
        const T* row = x + key[j] * stride + first;
#pragma GCC unroll 8
        for (int c = 0; c < Packs; ++c) {
          const Index left = cols - c * lanes<T>;
          sum[c] = fma(factor, load_up_to(row + c * lanes<T>, left), sum[c]);
        }
      }
#pragma GCC unroll 8
      for (int c = 0; c < Packs; ++c) {
        const Index left = cols - c * lanes<T>;
        T* to = out + c * lanes<T>;
        store_up_to(to, begin > 0 ? load_up_to(to, left) + sum[c] : sum[c], left);
      }
      begin = end;
    } while (begin < n);
  }
};
