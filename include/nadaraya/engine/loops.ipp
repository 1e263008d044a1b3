// Included once for each tier, inside its namespace and its target region: the loops in which all
// the time goes. Raw pointers in and out; nothing of Eigen or of the standard library is
// instantiated here, for its code could be merged with the copy that other machines run. A kernel
// comes from outside the region and is inlined into it, formula by formula.

struct Loops {
  // ---- products ------------------------------------------------------------------------------

  /// c[i][j] (+)= sum_d a[i][d] b[d][j], for `rows` <= tile_rows rows and `cols` columns, a multiple
  /// of tile_packs packs. The tile's sums stay in registers: 24 of 32, or 12 of 16.
  template <bool Add, class T>
  static void multiply(Index rows, Index depth, Index cols, const T* a, Index a_stride, const T* b, Index b_stride,
                       T* c, Index c_stride) {
    for (Index j = 0; j < cols; j += tile_packs * lanes<T>) {
      switch (rows) {
        case 6: multiply_tile<6, Add>(depth, a, a_stride, b + j, b_stride, c + j, c_stride); break;
        case 5: multiply_tile<5, Add>(depth, a, a_stride, b + j, b_stride, c + j, c_stride); break;
        case 4: multiply_tile<4, Add>(depth, a, a_stride, b + j, b_stride, c + j, c_stride); break;
        case 3: multiply_tile<3, Add>(depth, a, a_stride, b + j, b_stride, c + j, c_stride); break;
        case 2: multiply_tile<2, Add>(depth, a, a_stride, b + j, b_stride, c + j, c_stride); break;
        case 1: multiply_tile<1, Add>(depth, a, a_stride, b + j, b_stride, c + j, c_stride); break;
        default: break;
      }
    }
  }

  /// z[j] += slope x[j] + constant. z and x may be read and written to a whole pack behind n.
  template <class T>
  static void shift(T* z, const T* x, Index n, T slope, T constant) {
    const PackOf<T> a(slope), c(constant);
    for (Index j = 0; j < n; j += lanes<T>) store(z + j, load(z + j) + fma(a, load(x + j), c));
  }

  // ---- candidates ----------------------------------------------------------------------------

  /// Appends the keys first + j whose z[j] is above the floor, or NaN; returns how many. Reads z,
  /// and writes the lists, up to a whole pack further.
  template <class T>
  static Index filter(const T* z, Index n, T floor, KeyIndex first, T* out_z, KeyIndex* out_key) {
    const PackOf<T> bound(floor);
    Index kept = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      const PackOf<T> x = load(z + j);
      const unsigned mask = above(x, bound) & present<T>(n - j);
      if (mask == 0) continue;
      compress(out_z + kept, mask, x);
      compress_run(out_key + kept, mask, first + static_cast<KeyIndex>(j), T());
      kept += __builtin_popcount(mask);
    }
    return kept;
  }

  /// Drops, in place and in order, what is at or below the floor. Both lists have a pack of slack.
  template <class T>
  static Index prune(T* z, KeyIndex* key, Index n, T floor) {
    const PackOf<T> bound(floor);
    Index kept = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      const PackOf<T> x = load(z + j);
      const unsigned mask = above(x, bound) & present<T>(n - j);
      compress_keys(key + kept, mask, key + j, T());
      compress(z + kept, mask, x);
      kept += __builtin_popcount(mask);
    }
    return kept;
  }

  /// The largest of n > 0 scalars; undefined if one of them is NaN.
  template <class T>
  static T largest(const T* z, Index n) {
    PackOf<T> top(z[0]);
    Index j = 0;
    for (; j + lanes<T> <= n; j += lanes<T>) top = larger(top, load(z + j));
    T result = largest_lane(top);
    for (; j < n; ++j) result = z[j] > result ? z[j] : result;
    return result;
  }

  /// Is any of them NaN or above the bound?
  template <class T>
  static bool any_above(const T* z, Index n, T floor) {
    const PackOf<T> bound(floor);
    unsigned mask = 0;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { mask |= above(load_up_to(z + j, count), bound) & present<T>(count); });
    return mask != 0;
  }

  // ---- one row under a kernel: t = (z - pivot) / width + offset ---------------------------------

  /// Sums of kappa(t) and of kappa'(t) over the support.
  template <class K, class T>
  static ProfileSums<T> profile_sums(const K& kernel, const RowMap<T>& map, T edge, const T* z, Index n) {
    return with_division(map, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> bound(edge);
      // Short runs are summed in T, their totals in double: the error does not grow with n.
      constexpr Index run = 32 * lanes<T>;
      double value = 0, slope = 0;
      for (Index first = 0; first < n; first += run) {
        PackOf<T> values(T(0)), slopes(T(0));
        each<T>(first + run < n ? run : n - first, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
          const PackOf<T> t = coordinate(load_up_to(z + first + j, count));
          values = values + supported<K>(t, bound, kernel.profile(t), count);
          slopes = slopes + supported<K>(t, bound, kernel.derivative(t), count);
        });
        value += total(values);
        slope += total(slopes);
      }
      return ProfileSums<T>{static_cast<T>(value), static_cast<T>(slope)};
    });
  }

  /// Reduces a row to its support, in place: z becomes t, and p = kappa(t) / mass. Returns its size.
  /// With `keep_all`, keys without weight stay. All lists have a pack of slack.
  template <class K, class T>
  static Index weigh(const K& kernel, const RowMap<T>& map, T edge, bool keep_all, T* z, KeyIndex* key, Index n, T* p) {
    return with_division(map, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> bound(edge), mass(map.mass);
      Index kept = 0;
      for (Index j = 0; j < n; j += lanes<T>) {
        const PackOf<T> t = coordinate(load(z + j));
        const PackOf<T> weight = supported<K>(t, bound, kernel.profile(t) / mass, lanes<T>);
        const unsigned mask = (K::compact && !keep_all ? above(t, bound) : ~0u) & present<T>(n - j);
        compress_keys(key + kept, mask, key + j, T());
        compress(z + kept, mask, t);
        compress(p + kept, mask, weight);
        kept += __builtin_popcount(mask);
      }
      return kept;
    });
  }

  /// p = kappa(t) / mass, 0 outside the support.
  template <class K, class T>
  static void weights(const K& kernel, const RowMap<T>& map, T edge, const T* t, Index n, T* p) {
    const PackOf<T> bound(edge), divisor(map.mass);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> x = load_up_to(t + j, count);
      store_up_to(p + j, supported<K>(x, bound, kernel.profile(x) / divisor, count), count);
    });
  }

  // ---- rows gathered by key ---------------------------------------------------------------------

  /// out = sum_j p_j x[key_j]. Rows with p_j = 0 are not read.
  template <class T>
  static void mix(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, T* out) {
    Index c = 0;
    for (; c + 4 * lanes<T> <= cols; c += 4 * lanes<T>) mix_columns<4>(key, p, n, x + c, stride, out + c, 4 * lanes<T>);
    for (; c < cols; c += lanes<T>) {
      mix_columns<1>(key, p, n, x + c, stride, out + c, cols - c < lanes<T> ? cols - c : lanes<T>);
    }
  }

  /// g_j = x[key_j] . y, and 0 without reading where p_j = 0.
  template <class T>
  static void dots(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, Index cols, const T* y, T* g) {
    for (Index j = 0; j < n; ++j) {
      g[j] = T(0);
      if (p[j] == T(0)) continue;
      const T* row = x + key[j] * stride;
      PackOf<T> sum(T(0));
      each<T>(cols, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA { sum = fma(load_up_to(row + c, count), load_up_to(y + c, count), sum); });
      g[j] = total(sum);
    }
  }

  /// x[key_j] += p_j y, for the keys whose p_j is not 0.
  template <class T>
  static void scatter(const KeyIndex* key, const T* p, Index n, const T* y, Index cols, T* x, Index stride) {
    for (Index j = 0; j < n; ++j) {
      if (p[j] == T(0)) continue;
      const PackOf<T> factor = broadcast(p[j]);
      T* row = x + key[j] * stride;
      each<T>(cols, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
        store_up_to(row + c, fma(factor, load_up_to(y + c, count), load_up_to(row + c, count)), count);
      });
    }
  }

 private:
  static constexpr int tile_packs = bytes == 64 ? 4 : 2;

  template <int Rows, bool Add, class T>
  NADARAYA_INLINE static void multiply_tile(Index depth, const T* a, Index a_stride, const T* b, Index b_stride, T* c,
                                            Index c_stride) {
    PackOf<T> sum[Rows][tile_packs];
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < tile_packs; ++j) {
        sum[i][j] = Add ? load(c + i * c_stride + j * lanes<T>) : PackOf<T>(T(0));
      }
    }
    for (Index d = 0; d < depth; ++d) {
      PackOf<T> row[tile_packs];
#pragma GCC unroll 8
      for (int j = 0; j < tile_packs; ++j) row[j] = load(b + d * b_stride + j * lanes<T>);
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
        const PackOf<T> factor = broadcast(a[i * a_stride + d]);
#pragma GCC unroll 8
        for (int j = 0; j < tile_packs; ++j) sum[i][j] = fma(factor, row[j], sum[i][j]);
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < tile_packs; ++j) store(c + i * c_stride + j * lanes<T>, sum[i][j]);
    }
  }

  template <int Packs, class T>
  NADARAYA_INLINE static void mix_columns(const KeyIndex* key, const T* p, Index n, const T* x, Index stride, T* out,
                                          Index cols) {
    PackOf<T> sum[Packs];
#pragma GCC unroll 8
    for (int c = 0; c < Packs; ++c) sum[c] = PackOf<T>(T(0));
    for (Index j = 0; j < n; ++j) {
      if (p[j] == T(0)) continue;
      const PackOf<T> factor = broadcast(p[j]);
      const T* row = x + key[j] * stride;
#pragma GCC unroll 8
      for (int c = 0; c < Packs; ++c) {
        const Index left = cols - c * lanes<T>;
        sum[c] = fma(factor, load_up_to(row + c * lanes<T>, left), sum[c]);
      }
    }
#pragma GCC unroll 8
    for (int c = 0; c < Packs; ++c) store_up_to(out + c * lanes<T>, sum[c], cols - c * lanes<T>);
  }

  /// x on the support of the kernel and in the first `count` lanes, 0 elsewhere.
  template <class K, class T>
  NADARAYA_INLINE static PackOf<T> supported(const PackOf<T>& t, const PackOf<T>& edge, const PackOf<T>& x,
                                             Index count) {
    const PackOf<T> kept = K::compact ? where_above(t, edge, x) : x;
    return count >= lanes<T> ? kept : first_lanes(kept, count);
  }

  /// body(j, count) for every pack of a run of n scalars: j its first, count = lanes, or less for
  /// the last.
  template <class T, class Body>
  NADARAYA_INLINE static void each(Index n, const Body& body) {
    Index j = 0;
    for (; j + lanes<T> <= n; j += lanes<T>) body(j, lanes<T>);
    if (j < n) body(j, n - j);
  }

  template <class T>
  NADARAYA_INLINE static PackOf<T> load_up_to(const T* from, Index count) {
    return count >= lanes<T> ? load(from) : load_part(from, count);
  }
  template <class T>
  NADARAYA_INLINE static void store_up_to(T* to, const PackOf<T>& x, Index count) {
    if (count >= lanes<T>) {
      store(to, x);
    } else {
      store_part(to, x, count);
    }
  }

  /// A bit for each of the first `count` lanes.
  template <class T>
  NADARAYA_INLINE static unsigned present(Index count) {
    return count >= lanes<T> ? (1u << lanes<T>) - 1u : (1u << count) - 1u;
  }

  /// work(coordinate), where coordinate(z) = (z - pivot) / width + offset: a product where the width
  /// is a power of two, which is exact and far cheaper than the division.
  template <class T, class Work>
  NADARAYA_INLINE static auto with_division(const RowMap<T>& map, const Work& work) {
    const PackOf<T> pivot(map.pivot), offset(map.offset);
    if (is_power_of_two(map.width)) {
      const PackOf<T> inverse(T(1) / map.width);
      return work([&](const PackOf<T>& z) NADARAYA_INLINE_LAMBDA { return (z - pivot) * inverse + offset; });
    }
    const PackOf<T> width(map.width);
    return work([&](const PackOf<T>& z) NADARAYA_INLINE_LAMBDA { return (z - pivot) / width + offset; });
  }
};
