// Sums that do not depend on the order of their terms. Included once for each tier, as loops.ipp says.

struct SplitSums {
  /// For each column c, adds the terms p_j x[key_j][c], which are finite, to the sum high[c] + low[c]: of each the
  /// multiple of a unit that remains when it is added to `high_cut` and that is taken off again, and likewise of the rest with
  /// `low_cut`.
  /// Sums of multiples are exact while they are not too many for their unit. Rows with p_j = 0 are not read.
  template <class T>
  static void add_split(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, double high_cut,
                        double low_cut, double* high, double* low) {
    if (n == 0) return;  // of none, x may be null
    constexpr Index wide = split_packs * lanes<double>;
    Index c = 0;
    for (; c + wide <= cols; c += wide) add_split_columns<split_packs>(key, p, n, x + c, stride, wide, high_cut, low_cut, high + c, low + c);
    for (; c < cols; c += lanes<double>) {
      const Index some = cols - c < lanes<double> ? cols - c : lanes<double>;
      add_split_columns<1>(key, p, n, x + c, stride, some, high_cut, low_cut, high + c, low + c);
    }
  }

 private:
  /// Packs of sums that stay in registers, each of them two.
  static constexpr int split_packs = 4;

  template <int Packs, class T>
  NADARAYA_INLINE static void add_split_columns(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols,
                                          double high_cut, double low_cut, double* high, double* low) {
    const auto left = [&](int k) NADARAYA_INLINE_LAMBDA { return cols - k * lanes<double>; };
    const PackOf<double> high_by = broadcast(high_cut), low_by = broadcast(low_cut);
    PackOf<double> highs[Packs], lows[Packs];
#pragma GCC unroll 4
    for (int k = 0; k < Packs; ++k) {
      highs[k] = load_up_to(high + k * lanes<double>, left(k));
      lows[k] = load_up_to(low + k * lanes<double>, left(k));
    }
    for (Index j = 0; j < n; ++j) {
      if (p[j] == T(0)) continue;
      const PackOf<double> factor = broadcast(static_cast<double>(p[j]));
      const T* const row = x + key[j] * stride;
#pragma GCC unroll 4
      for (int k = 0; k < Packs; ++k) {
        // Products are not rounded, also where the compiler would do as it likes.
        const PackOf<double> from = widened(row + k * lanes<double>, left(k));
        const PackOf<double> multiple = fma(factor, from, high_by) - high_by;
        highs[k] = highs[k] + multiple;
        lows[k] = lows[k] + ((fma(factor, from, -multiple) + low_by) - low_by);
      }
    }
#pragma GCC unroll 4
    for (int k = 0; k < Packs; ++k) {
      store_up_to(high + k * lanes<double>, highs[k], left(k));
      store_up_to(low + k * lanes<double>, lows[k], left(k));
    }
  }

  /// Up to a pack of numbers in double, zero behind them.
  NADARAYA_INLINE static PackOf<double> widened(const double* x, Index count) { return load_up_to(x, count); }
  NADARAYA_INLINE static PackOf<double> widened(const float* x, Index count) {
    if (count >= lanes<double>) return load_widened(x);
    float numbers[lanes<double>] = {};
    for (Index j = 0; j < count; ++j) numbers[j] = x[j];
    return load_widened(numbers);
  }
};
