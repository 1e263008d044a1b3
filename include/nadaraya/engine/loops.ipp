// Included once for each tier, inside its namespace and its target region: the loops in which all
// the time goes. Raw pointers in and out; nothing of Eigen or of the standard library is
// instantiated here, for its code could be merged with the copy that other machines run. A kernel
// comes from outside the region and is inlined into it, formula by formula.

struct Loops {
  // ---- products ------------------------------------------------------------------------------

  /// c[i][j] (+)= sum_d a[i][d] b[d][j], for any number of rows and columns. Rows of b and c lie b_row
  /// and c_row apart; a[i][d] is a[i * a_row + d * a_step], so that a may be transposed. A tile's sums
  /// stay in registers, 24 of 32, or 12 of 16, for `run_terms` terms; then they are added to c.
  template <bool Add, class T>
  static void multiply(Index rows, Index depth, Index cols, const T* a, Index a_row, Index a_step, const T* b,
                       Index b_row, T* c, Index c_row) {
    Index i = 0;
    for (; i + tile_rows <= rows; i += tile_rows) {
      multiply_rows<tile_rows, Add>(depth, cols, Factor<T>{a + i * a_row, a_row, a_step}, b, b_row, c + i * c_row, c_row);
    }
    for (; i + 2 <= rows; i += 2) {
      multiply_rows<2, Add>(depth, cols, Factor<T>{a + i * a_row, a_row, a_step}, b, b_row, c + i * c_row, c_row);
    }
    if (i < rows) {
      multiply_rows<1, Add>(depth, cols, Factor<T>{a + i * a_row, a_row, a_step}, b, b_row, c + i * c_row, c_row);
    }
  }

  /// z[i][j] = factor (a[i] . panel[:, j]) for any number of rows of a and the 64 keys of a panel, summed as `candidates`
  /// sums. Up to five rows of a past the last are read.
  template <class T>
  static void score_panel(Index rows, Index depth, const T* a, Index a_row, const T* panel, T factor, T* z, Index z_row) {
    constexpr Index keys = 64;
    const PackOf<T> by = broadcast(factor);
    for (Index first = 0; first < rows; first += tile_rows) {
      for (Index j = 0; j < keys; j += tile_packs * lanes<T>) {
        PackOf<T> sum[tile_rows][tile_packs];
#pragma GCC unroll 8
        for (int i = 0; i < tile_rows; ++i) {
#pragma GCC unroll 8
          for (int k = 0; k < tile_packs; ++k) sum[i][k] = PackOf<T>(T(0));
        }
        accumulate<tile_rows, tile_packs>(depth, Factor<T>{a + first * a_row, a_row, 1}, panel + j, keys, lanes<T>, sum);
#pragma GCC unroll 8
        for (int i = 0; i < tile_rows; ++i) {
          if (first + i >= rows) break;
#pragma GCC unroll 8
          for (int k = 0; k < tile_packs; ++k) store(z + (first + i) * z_row + j + k * lanes<T>, sum[i][k] * by);
        }
      }
    }
  }

  /// z[j] = factor (x[j] . y), for n rows of x. `products`, `scores` and `dots` sum in one order, whatever rows they are
  /// given together: equal rows have equal products, bit by bit.
  template <class T>
  static void products(const T* x, Index stride, Index n, Index cols, const T* y, T* z, T factor = T(1)) {
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

  /// z[j] += slope x[j] + constant. z and x may be read and written to a whole pack past n.
  template <class T>
  static void shift(T* z, const T* x, Index n, T slope, T constant) {
    const PackOf<T> a(slope), c(constant);
    for (Index j = 0; j < n; j += lanes<T>) store(z + j, load(z + j) + fma(a, load(x + j), c));
  }

  /// y = factor x
  template <class T>
  static void scale(const T* x, Index n, T factor, T* y) {
    const PackOf<T> by(factor);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { store_up_to(y + j, by * load_up_to(x + j, count), count); });
  }

  /// y = x / divisor
  template <class T>
  static void divide(const T* x, Index n, T divisor, T* y) {
    const PackOf<T> by(divisor);
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

  /// Prefetches n scalars.
  template <class T>
  NADARAYA_INLINE static void fetch(const T* x, Index n) {
    constexpr Index line = 64 / static_cast<Index>(sizeof(T));
    for (Index c = 0; c < n; c += line) simd::prefetch(x + c);
  }

  /// Prefetches the rows x[key[place_j]].
  template <class T>
  static void fetch_rows(const KeyIndex* place, Index n, const KeyIndex* key, const T* x, Index stride, Index cols) {
    for (Index j = 0; j < n; ++j) fetch(x + key[place[j]] * stride, cols);
  }

  // ---- candidates ----------------------------------------------------------------------------

  /// Products of 6 rows of a with the 64 keys of a panel, of which only the candidates are written:
  /// z[i][j] = factor (a[i] . panel[:, j]) (+ slope norm[j] + shift[i]), compared in the registers in which it
  /// was summed. Each list has room for 64 entries and a pack.
  template <bool Shifted, class T>
  static void candidates(Index depth, const T* a, Index a_row, const T* panel, const T* norm, T slope, KeyIndex first,
                         Candidates<T>* to, T factor = T(1)) {
    constexpr Index keys = 64;
    const PackOf<T> by = broadcast(factor);
    for (Index j = 0; j < keys; j += tile_packs * lanes<T>) {
      PackOf<T> sum[tile_rows][tile_packs];
#pragma GCC unroll 8
      for (int i = 0; i < tile_rows; ++i) {
#pragma GCC unroll 8
        for (int k = 0; k < tile_packs; ++k) sum[i][k] = PackOf<T>(T(0));
      }
      accumulate<tile_rows, tile_packs>(depth, Factor<T>{a, a_row, 1}, panel + j, keys, lanes<T>, sum);
#pragma GCC unroll 8
      for (int i = 0; i < tile_rows; ++i) {
        const PackOf<T> floor = broadcast(to[i].floor);
        unsigned found[tile_packs];
        unsigned any = 0;
#pragma GCC unroll 8
        for (int k = 0; k < tile_packs; ++k) {
          if constexpr (Shifted) {
            sum[i][k] = fma(sum[i][k], by, fma(broadcast(slope), load(norm + j + k * lanes<T>), broadcast(to[i].shift)));
          } else {
            sum[i][k] = sum[i][k] * by;
          }
          found[k] = above(sum[i][k], floor) & present<T>(lanes<T>) &
                     static_cast<unsigned>(to[i].visible >> (j + k * lanes<T>));
          any |= found[k];
        }
        if (any == 0) continue;
        // A branch for each pack would be guessed wrongly more often than it saves.
#pragma GCC unroll 8
        for (int k = 0; k < tile_packs; ++k) {
          compress(to[i].z, found[k], sum[i][k]);
          compress_run(to[i].key, found[k], first + static_cast<KeyIndex>(j + k * lanes<T>), T());
          const int count = simd::count_ones(found[k]);
          to[i].z += count;
          to[i].key += count;
        }
      }
    }
  }

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
      kept += simd::count_ones(mask);
    }
    return kept;
  }

  /// Drops, in place and in order, the entries at or below the floor. Both lists have a pack of slack.
  template <class T>
  static Index prune(T* z, KeyIndex* key, Index n, T floor) {
    const PackOf<T> bound(floor);
    Index kept = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      const PackOf<T> x = load(z + j);
      const unsigned mask = above(x, bound) & present<T>(n - j);
      compress_keys(key + kept, mask, key + j, T());
      compress(z + kept, mask, x);
      kept += simd::count_ones(mask);
    }
    return kept;
  }

  /// Writes the places of those of n scalars that are above one bound and not above the other, none of which is NaN;
  /// returns how many. The list has a pack of slack.
  template <class T>
  static Index between(const T* z, Index n, T low, T high, KeyIndex* place) {
    const PackOf<T> least(low), most(high);
    Index found = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      const PackOf<T> x = load(z + j);
      const unsigned mask = above(x, least) & ~above(x, most) & present<T>(n - j);
      compress_run(place + found, mask, static_cast<KeyIndex>(j), T());
      found += simd::count_ones(mask);
    }
    return found;
  }

  /// Writes the keys of the points whose squared distance from q, as summed here, is at most a bound, and
  /// their places, of n that begin with a given one; returns how many. axes[d] holds the points'
  /// coordinates. All may be read, and the lists written, up to a whole pack further.
  template <int Dimension, class T>
  static Index within(const T* const* axes, const KeyIndex* key, KeyIndex first, Index n, const T* q, T bound,
                      KeyIndex* out, KeyIndex* places) {
    const PackOf<T> most(bound);
    Index kept = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      PackOf<T> square(T(0));
#pragma GCC unroll 3
      for (int d = 0; d < Dimension; ++d) {
        const PackOf<T> difference = load(axes[d] + j) - broadcast(q[d]);
        square = fma(difference, difference, square);
      }
      const unsigned mask = ~above(square, most) & present<T>(n - j);
      compress_keys(out + kept, mask, key + j, T());
      compress_run(places + kept, mask, first + static_cast<KeyIndex>(j), T());
      kept += simd::count_ones(mask);
    }
    return kept;
  }

  /// rank[i] = how many of n keys are smaller than key[i]. Both have a pack of slack.
  static void ranks(const KeyIndex* key, Index n, KeyIndex* rank) {
    for (Index i = 0; i < n; i += lanes<KeyIndex>) {
      const PackOf<KeyIndex> keys = load(key + i);
      PackOf<KeyIndex> smaller(0);
      // Keys are not negative: the sign of a difference, spread over all bits, is minus one where it is less.
      for (Index j = 0; j < n; ++j) {
        const typename PackOf<KeyIndex>::Vector less = (PackOf<KeyIndex>(key[j]) - keys).v >> 31;
        smaller = smaller - PackOf<KeyIndex>(less);
      }
      store(rank + i, smaller);
    }
  }

  /// The same for keys below 64 words: as bits, and the bits before each word counted. O(n + words).
  static void ranks_by_bits(const KeyIndex* key, Index n, Index words, std::uint64_t* bits, KeyIndex* before,
                            KeyIndex* rank) {
    for (Index w = 0; w < words; ++w) bits[w] = 0;
    for (Index j = 0; j < n; ++j) bits[key[j] / 64] |= std::uint64_t(1) << (key[j] % 64);
    KeyIndex count = 0;
    for (Index w = 0; w < words; ++w) {
      before[w] = count;
      count += simd::count_ones(bits[w]);
    }
    for (Index j = 0; j < n; ++j) {
      const std::uint64_t smaller = bits[key[j] / 64] & ((std::uint64_t(1) << (key[j] % 64)) - 1);
      rank[j] = before[key[j] / 64] + simd::count_ones(smaller);
    }
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
    const PackOf<T> bound(floor);
    unsigned mask = 0;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { mask |= above(load_up_to(z + j, count), bound) & present<T>(count); });
    return mask != 0;
  }

  /// Is none of them NaN or infinite?
  template <class T>
  static bool all_finite(const T* x, Index n) {
    const PackOf<T> zero(T(0));
    unsigned mask = 0;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA { mask |= above(load_up_to(x + j, count) * zero, zero); });
    return mask == 0;
  }

  // ---- what sketches need to know of rows ---------------------------------------------------------

  /// The middle of n > 0 rows, to the last digit or so, and the largest distance of a number from that
  /// of its column; negative if a number is not finite.
  template <class T>
  static T centre_rows(const T* x, Index stride, Index n, Index cols, T* centre) {
    const T share = T(1) / static_cast<T>(n);
    PackOf<T> most(T(0));
    each<T>(cols, [&](Index d, Index count) NADARAYA_INLINE_LAMBDA {
      PackOf<T> sum(T(0));
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
    PackOf<T> most(T(0));
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> some = load_up_to(x + j, count);
      most = larger(most, larger(some, -some));
    });
    return all_finite(x, n) ? largest_lane(most) : T(-1);
  }

  // ---- one row under a kernel: t = (z - pivot) / width + offset ---------------------------------

  /// Sums of kappa(t) and of kappa'(t) over the support.
  template <class K, class T>
  static ProfileSums<T> profile_sums(const K& kernel, const RowMap<T>& map, T edge, const T* z, Index n) {
    return with_division(map, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> bound(edge);
      double value = 0, slope = 0;
      in_runs<T>(n, [&](Index begin, Index length) NADARAYA_INLINE_LAMBDA {
        PackOf<T> values(T(0)), slopes(T(0));
        each<T>(length, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
          const PackOf<T> t = coordinate(load_up_to(z + begin + j, count));
          values = values + supported<K>(t, bound, profile(kernel, t), count);
          slopes = slopes + supported<K>(t, bound, derivative(kernel, t), count);
        });
        value += total(values);
        slope += total(slopes);
      });
      return ProfileSums<T>{static_cast<T>(value), static_cast<T>(slope)};
    });
  }

  /// The same, the sum of kappa(t) as exact as its terms.
  template <class K, class T>
  static ProfileSums<double> exact_sums(const K& kernel, const RowMap<T>& map, T edge, const T* z, Index n) {
    return with_division(map, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> bound(edge), zero(T(0));
      // Two of each, so that a sum need not wait for the one before.
      PackOf<T> sum[2] = {zero, zero}, rest[2] = {zero, zero}, slopes[2] = {zero, zero};
      const auto add = [&](int k, Index j, Index count) NADARAYA_INLINE_LAMBDA {
        const PackOf<T> t = coordinate(load_up_to(z + j, count));
        add_exactly(supported<K>(t, bound, profile(kernel, t), count), sum[k], rest[k]);
        slopes[k] = slopes[k] + supported<K>(t, bound, derivative(kernel, t), count);
      };
      Index j = 0;
      for (; j + 2 * lanes<T> <= n; j += 2 * lanes<T>) {
        add(0, j, lanes<T>);
        add(1, j + lanes<T>, lanes<T>);
      }
      for (; j < n; j += lanes<T>) add(0, j, n - j);
      return ProfileSums<double>{exact_total(sum[0], rest[0]) + exact_total(sum[1], rest[1]),
                                 static_cast<double>(total(slopes[0] + slopes[1]))};
    });
  }

  /// Calls next(sums), those of profile_sums at map.offset, which may move it, for as long as it returns true.
  template <class K, class T, class Next>
  static void descend(const K& kernel, RowMap<T>& map, T edge, const T* z, Index n, const Next& next) {
    if (n <= 4 * lanes<T>) {
      descend_run<4>(kernel, map, edge, z, n, next);  // in registers
    } else if (n <= run_packs * lanes<T>) {
      descend_run<run_packs>(kernel, map, edge, z, n, next);
    } else {
      while (next(profile_sums(kernel, map, edge, z, n))) {}
    }
  }

  /// For some short rows z[i] of n[i] >= 1 numbers, a lane for each: moves the map's pivot to the largest and its offset
  /// from the coordinate of the floor known so far, or from 1, down towards where the kappa(t) sum to one, and never past
  /// it, by at most `steps` of Newton's steps; the mass is the sum where they end, if it is before that. The sum to the
  /// power 1 / Root is convex in the offset, and where Root is not 1, kappa and kappa' are zero at the edge. Rows may be
  /// read to a whole pack past their ends. If
  /// `settled` is not 0, goes on from there as settle of threshold.hpp does.
  template <int Root, class K, class T>
  static void step_down(const K& kernel, T edge, int steps, const T* const* z, const Index* n, const T* known, Index rows,
                        RowMap<T>* maps, T settled = T(0)) {
    for (; rows > 0; rows -= lanes<T>, z += lanes<T>, n += lanes<T>, known += lanes<T>, maps += lanes<T>) {
      step_lanes_down<Root>(kernel, edge, steps, z, n, known, rows < lanes<T> ? rows : lanes<T>, maps, settled);
    }
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
        const PackOf<T> weight = supported<K>(t, bound, profile(kernel, t) / mass, lanes<T>);
        const unsigned mask = (K::compact && !keep_all ? above(t, bound) : ~0u) & present<T>(n - j);
        if (n > run_packs * lanes<T> && kept == j && mask == present<T>(lanes<T>)) {
          // Of a long row, so far all stay where they are.
          store(z + j, t);
          store(p + j, weight);
          kept += lanes<T>;
          continue;
        }
        compress_keys(key + kept, mask, key + j, T());
        compress(z + kept, mask, t);
        compress(p + kept, mask, weight);
        kept += simd::count_ones(mask);
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
      store_up_to(p + j, supported<K>(x, bound, profile(kernel, x) / divisor, count), count);
    });
  }

  /// z becomes kappa(t), 0 outside the support; returns the sum.
  template <class K, class T>
  static T profiles(const K& kernel, const RowMap<T>& map, T edge, T* z, Index n) {
    return with_division(map, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> bound(edge);
      double sum = 0;
      in_runs<T>(n, [&](Index begin, Index length) NADARAYA_INLINE_LAMBDA {
        PackOf<T> sums(T(0));
        each<T>(length, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
          T* to = z + begin + j;
          const PackOf<T> t = coordinate(load_up_to(to, count));
          const PackOf<T> value = supported<K>(t, bound, profile(kernel, t), count);
          store_up_to(to, value, count);
          sums = sums + value;
        });
        sum += total(sums);
      });
      return static_cast<T>(sum);
    });
  }

  /// z becomes t.
  template <class T>
  static void coordinates(const RowMap<T>& map, T* z, Index n) {
    with_division(map, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
      each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
        store_up_to(z + j, coordinate(load_up_to(z + j, count)), count);
      });
    });
  }

  // ---- gradients of one row ----------------------------------------------------------------------

  /// s = kappa'(t) / divisor, 0 outside the support.
  template <class K, class T>
  static void slopes(const K& kernel, T edge, T divisor, const T* t, Index n, T* s) {
    const PackOf<T> bound(edge), by(divisor);
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> x = load_up_to(t + j, count);
      store_up_to(s + j, supported<K>(x, bound, derivative(kernel, x) / by, count), count);
    });
  }

  /// Sums of factor s and of factor s (g - origin), as exact as their terms.
  template <class T>
  static Moments<T> moments(const T* s, T factor, const T* g, T origin, Index n) {
    const PackOf<T> by(factor), from(origin), zero(T(0));
    PackOf<T> mass = zero, mass_rest = zero, first = zero, first_rest = zero;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> x = load_up_to(s + j, count) * by;
      const PackOf<T> y = x * (load_up_to(g + j, count) - from);
      add_exactly(x, mass, mass_rest);
      add_exactly(y, first, first_rest);
    });
    // Of one pack there is no rest.
    if (n <= lanes<T>) return Moments<T>{wide_total(mass), wide_total(first)};
    return Moments<T>{exact_total(mass, mass_rest), exact_total(first, first_rest)};
  }

  /// s = s ((g - origin) - mean); returns the sum of that.
  template <class T>
  static T deviate(T* s, const T* g, T origin, T mean, Index n) {
    const PackOf<T> from(origin), middle(mean);
    double sum = 0;
    in_runs<T>(n, [&](Index begin, Index length) NADARAYA_INLINE_LAMBDA {
      PackOf<T> sums(T(0));
      each<T>(length, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
        T* to = s + begin + j;
        const PackOf<T> x = load_up_to(to, count) * ((load_up_to(g + begin + j, count) - from) - middle);
        store_up_to(to, x, count);
        sums = sums + x;
      });
      sum += total(sums);
    });
    return static_cast<T>(sum);
  }

  // ---- rows gathered by key ---------------------------------------------------------------------

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
                     T* z, T factor = T(1)) {
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

  /// x[key] += factor y[query], for the pairs whose factor, one of their members, is not 0. If Counted, counts the pairs of
  /// each key in terms[key - first], and stops behind one that makes pair_run_terms; returns how many pairs are done.
  template <auto Factor, bool Counted, class T>
  static Index scatter(const Pair<T>* pairs, Index n, const T* y, Index y_stride, Index cols, T* x, Index x_stride,
                       KeyIndex first, std::uint16_t* terms) {
    constexpr Index ahead = 8;
    for (Index j = 0; j < n; ++j) {
      if (j + ahead < n) fetch(x + pairs[j + ahead].key * x_stride, cols);
      const T factor = pairs[j].*Factor;
      if (factor != T(0)) {
        const PackOf<T> by = broadcast(factor);
        const T* from = y + pairs[j].query * y_stride;
        T* to = x + pairs[j].key * x_stride;
        each<T>(cols, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
          store_up_to(to + c, fma(by, load_up_to(from + c, count), load_up_to(to + c, count)), count);
        });
      }
      if (Counted && ++terms[pairs[j].key - first] == pair_run_terms) return j + 1;
    }
    return n;
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

  /// The bits of a lane's number from that of S on.
  template <Index S, class T, std::size_t Lanes>
  NADARAYA_INLINE static void exchange_from(T (&row)[Lanes]) {
    if constexpr (S < static_cast<Index>(Lanes)) {
#pragma GCC unroll 16
      for (Index j = 0; j < static_cast<Index>(Lanes); ++j) {
        if ((j & S) == 0) simd::exchange<static_cast<std::size_t>(S)>(row[j], row[j + S]);
      }
      exchange_from<2 * S>(row);
    }
  }

  template <class T>
  NADARAYA_INLINE static void transpose_rest(const T* x, Index stride, Index n, Index first, Index cols, T* to,
                                             Index to_stride) {
    for (Index c = first; c < cols; ++c) {
      for (Index j = 0; j < n; ++j) to[c * to_stride + j] = x[j * stride + c];
    }
  }

  static constexpr int tile_rows = 6;
  static constexpr int tile_packs = bytes == 64 ? 4 : 2;

  /// The left factor of a product.
  template <class T>
  struct Factor {
    const T* data;
    Index row;
    Index step;
  };

  template <int Rows, bool Add, class T>
  NADARAYA_INLINE static void multiply_rows(Index depth, Index cols, const Factor<T>& a, const T* b, Index b_row, T* c,
                                            Index c_row) {
    Index j = 0;
    for (; j + tile_packs * lanes<T> <= cols; j += tile_packs * lanes<T>) {
      multiply_tile<Rows, tile_packs, Add>(depth, a, b + j, b_row, c + j, c_row, lanes<T>);
    }
    for (; j + lanes<T> <= cols; j += lanes<T>) {
      multiply_tile<Rows, 1, Add>(depth, a, b + j, b_row, c + j, c_row, lanes<T>);
    }
    if (j < cols) multiply_tile<Rows, 1, Add>(depth, a, b + j, b_row, c + j, c_row, cols - j);
  }

  /// `last` columns of the last pack.
  template <int Rows, int Packs, bool Add, class T>
  NADARAYA_INLINE static void multiply_tile(Index depth, const Factor<T>& a, const T* b, Index b_row, T* c, Index c_row,
                                            Index last) {
    bool add = Add;
    Index begin = 0;
    do {
      const Index terms = depth - begin < run_terms ? depth - begin : run_terms;
      PackOf<T> sum[Rows][Packs];
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < Packs; ++j) sum[i][j] = PackOf<T>(T(0));
      }
      accumulate<Rows, Packs>(terms, Factor<T>{a.data + begin * a.step, a.row, a.step}, b + begin * b_row, b_row, last, sum);
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < Packs; ++j) {
          T* to = c + i * c_row + j * lanes<T>;
          store_up_to(to, add ? load_up_to(to, last) + sum[i][j] : sum[i][j], last);
        }
      }
      add = true;
      begin += terms;
    } while (begin < depth);
  }

  template <int Rows, int Packs, class T>
  NADARAYA_INLINE static void accumulate(Index depth, const Factor<T>& a, const T* b, Index b_row, Index last,
                                         PackOf<T> (&sum)[Rows][Packs]) {
    const T* left = a.data;
    for (Index d = 0; d < depth; ++d, left += a.step, b += b_row) {
      PackOf<T> right[Packs];
#pragma GCC unroll 8
      for (int j = 0; j < Packs; ++j) right[j] = load_up_to(b + j * lanes<T>, last);
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
        const PackOf<T> factor = broadcast(left[i * a.row]);
#pragma GCC unroll 8
        for (int j = 0; j < Packs; ++j) sum[i][j] = fma(factor, right[j], sum[i][j]);
      }
    }
  }

  /// x . y, summed as four_dots sums.
  template <class T>
  NADARAYA_INLINE static T dot(const T* x, const T* y, Index n) {
    PackOf<T> sum(T(0));
    each<T>(n, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
      sum = fma(load_up_to(x + c, count), load_up_to(y + c, count), sum);
    });
    return total_as_of_four(sum);
  }

  /// Writes the products of four rows with y, formed column by column, so that none waits for another's sum.
  template <class T>
  NADARAYA_INLINE static void four_dots(const T* const (&x)[4], Index cols, const T* y, T* to) {
    PackOf<T> sum[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) sum[i] = PackOf<T>(T(0));
    each<T>(cols, [&](Index c, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> factor = load_up_to(y + c, count);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[i] = fma(load_up_to(x[i] + c, count), factor, sum[i]);
    });
    totals_of(sum, to);
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

  /// kappa(t). By its laws, an exponential kernel is exp(rate (t - centre)), for which tiers have an exp of their own.
  template <class K, class T>
  NADARAYA_INLINE static PackOf<T> profile(const K& kernel, const PackOf<T>& t) {
    if constexpr (ExponentialKernel<K>) {
      const T at = static_cast<T>(centre(kernel));
      return exp(PackOf<T>(kernel.derivative(at)) * (t - PackOf<T>(at)));
    } else {
      return kernel.profile(t);
    }
  }

  /// kappa'(t)
  template <class K, class T>
  NADARAYA_INLINE static PackOf<T> derivative(const K& kernel, const PackOf<T>& t) {
    if constexpr (ExponentialKernel<K>) {
      return PackOf<T>(kernel.derivative(static_cast<T>(centre(kernel)))) * profile(kernel, t);
    } else {
      return kernel.derivative(t);
    }
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

  /// Packs per run that is summed in T; with the runs summed in double, the error does not grow with n.
  static constexpr int run_packs = 32;

  /// body(begin, length) for runs of n scalars.
  template <class T, class Body>
  NADARAYA_INLINE static void in_runs(Index n, const Body& body) {
    constexpr Index run = run_packs * lanes<T>;
    for (Index begin = 0; begin < n; begin += run) body(begin, run < n - begin ? run : n - begin);
  }

  /// descend for a row of at most Packs packs: t = x + offset, where x is formed once.
  template <int Packs, class K, class T, class Next>
  NADARAYA_INLINE static void descend_run(const K& kernel, RowMap<T>& map, T edge, const T* z, Index n, const Next& next) {
    static_assert(K::compact);
    constexpr T nowhere = -std::numeric_limits<T>::infinity();
    const int packs = Packs == 4 ? Packs : static_cast<int>((n + lanes<T> - 1) / lanes<T>);
    RowMap<T> from_pivot = map;
    from_pivot.offset = T(0);
    PackOf<T> x[Packs];
#pragma GCC unroll 4
    for (int k = 0; k < packs; ++k) {
      const Index left = n - k * lanes<T>;
      // Lanes past the end are nowhere supported.
      x[k] = left >= lanes<T> ? load(z + k * lanes<T>)
             : left > 0       ? load_part(z + k * lanes<T>, left, broadcast(nowhere))
                              : broadcast(nowhere);
    }
    with_division(from_pivot, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
#pragma GCC unroll 4
      for (int k = 0; k < packs; ++k) x[k] = coordinate(x[k]);
    });
    const PackOf<T> bound(edge);
    ProfileSums<T> sums;
    do {
      const PackOf<T> offset(map.offset);
      PackOf<T> values(T(0)), slopes(T(0));
#pragma GCC unroll 4
      for (int k = 0; k < packs; ++k) {
        const PackOf<T> t = x[k] + offset;
        values = values + where_above(t, bound, profile(kernel, t));
        slopes = slopes + where_above(t, bound, derivative(kernel, t));
      }
      sums = ProfileSums<T>{static_cast<T>(total(values)), static_cast<T>(total(slopes))};
    } while (next(sums));
  }

  /// The numbers of some rows as columns of a number of each; returns how many columns, a multiple of the lanes. What is
  /// past the end of a row is nowhere.
  template <class T>
  static Index columns_of(const T* const* z, const Index* n, Index rows, T* column) {
    const PackOf<T> nowhere(-std::numeric_limits<T>::infinity());
    T numbers[lanes<T>];
    for (Index j = 0; j < lanes<T>; ++j) numbers[j] = static_cast<T>(j);
    const PackOf<T> number = load(numbers);
    Index longest = 0;
    for (Index i = 0; i < rows; ++i) longest = longest < n[i] ? n[i] : longest;
    Index columns = 0;
    do {
      PackOf<T> row[lanes<T>];
#pragma GCC unroll 16
      for (Index i = 0; i < lanes<T>; ++i) {
        // Lengths differ: a branch on them would often be guessed wrongly.
        const Index left = i < rows ? n[i] - columns : 0;
        const T* from = i < rows ? z[i] : z[0];
        row[i] = where_less(number, PackOf<T>(static_cast<T>(left)), load(left > 0 ? from + columns : from), nowhere);
      }
      exchange_from<1>(row);
#pragma GCC unroll 16
      for (Index j = 0; j < lanes<T>; ++j) store(column + (columns + j) * lanes<T>, row[j]);
      columns += lanes<T>;
    } while (columns < longest);
    return columns;
  }

  template <int Root, class K, class T>
  NADARAYA_INLINE static void step_lanes_down(const K& kernel, T edge, int steps, const T* const* z, const Index* n,
                                              const T* known, Index rows, RowMap<T>* maps, T settled) {
    // Independent sums, so that none waits for the one before. Columns are a multiple of the lanes.
    constexpr int Sums = lanes<T> < 4 ? static_cast<int>(lanes<T>) : 4;
    // Similarities, and what becomes of them; one list where those are not needed any more.
    alignas(bytes) T numbers[longest_short_row * lanes<T>];
    alignas(bytes) T relative[Root == 1 ? longest_short_row * lanes<T> : 1];
    T* const column = Root == 1 ? relative : numbers;
    const Index columns = columns_of(z, n, rows, numbers);
    PackOf<T> tops[Sums];
#pragma GCC unroll 4
    for (int k = 0; k < Sums; ++k) tops[k] = broadcast(-std::numeric_limits<T>::infinity());
    for (Index j = 0; j < columns; j += Sums) {
#pragma GCC unroll 4
      for (int k = 0; k < Sums; ++k) tops[k] = larger(tops[k], load(numbers + (j + k) * lanes<T>));
    }
#pragma GCC unroll 4
    for (int k = 1; k < Sums; ++k) tops[0] = larger(tops[0], tops[k]);
    const PackOf<T> pivot = tops[0];

    // What rounds where it is divided by the width would round otherwise where it is multiplied.
    T pivots[lanes<T>], offsets[lanes<T>], masses[lanes<T>];
    RowMap<T> from_pivot = maps[0];
    from_pivot.pivot = T(0);
    from_pivot.offset = T(0);
    PackOf<T> offset = with_division(from_pivot, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
      for (Index j = 0; j < columns; ++j) {
        store(column + j * lanes<T>, coordinate(load(numbers + j * lanes<T>) - pivot));
      }
      for (Index i = 0; i < lanes<T>; ++i) offsets[i] = known[i < rows ? i : 0];
      return coordinate(pivot - load(offsets));
    });
    const PackOf<T> zero(T(0)), one(T(1)), bound(edge);
    // What goes on from there need not be told the last digits.
    const PackOf<T> nearly_one(settled > T(0) ? T(1) - T(1) / T(1024) : T(1) - T(2) * std::numeric_limits<T>::epsilon());
    offset = where_less(offset, one, offset, one);
    PackOf<T> mass = one;
    // Root mass (mass^(-1 / Root) - 1) / slope, as norm_step of threshold.hpp has it, given mass - 1.
    const auto newton_step = [&](const PackOf<T>& total, const PackOf<T>& excess, const PackOf<T>& slope) NADARAYA_INLINE_LAMBDA {
      PackOf<T> root = total;
#pragma GCC unroll 8
      for (int k = Root; k > 1; k /= 2) root = sqrt(root);
      PackOf<T> powers = one, product = broadcast(static_cast<T>(Root));
#pragma GCC unroll 8
      for (int k = 1; k < Root; ++k) {
        powers = fma(root, powers, one);
        product = product * root;
      }
      return product * (zero - excess) / (powers * slope);
    };
    for (int step = 0; step < steps; ++step) {
      PackOf<T> values[Sums], slopes[Sums];
#pragma GCC unroll 4
      for (int k = 0; k < Sums; ++k) values[k] = slopes[k] = zero;
      for (Index j = 0; j < columns; j += Sums) {
#pragma GCC unroll 4
        for (int k = 0; k < Sums; ++k) {
          const PackOf<T> t = load(column + (j + k) * lanes<T>) + offset;
          if constexpr (Root > 1) {
            const PackOf<T> inside = larger(t, bound);
            values[k] = values[k] + profile(kernel, inside);
            slopes[k] = slopes[k] + derivative(kernel, inside);
          } else {
            values[k] = values[k] + where_above(t, bound, profile(kernel, t));
            slopes[k] = slopes[k] + where_above(t, bound, derivative(kernel, t));
          }
        }
      }
#pragma GCC unroll 4
      for (int k = 1; k < Sums; ++k) {
        values[0] = values[0] + values[k];
        slopes[0] = slopes[0] + slopes[k];
      }
      mass = values[0];
      const PackOf<T> next = offset + newton_step(mass, mass - one, slopes[0]);
      // Settled are those that would hardly move, and those that cannot be compared. They stay, however long others go on:
      // no row depends on the rows it is solved with.
      const PackOf<T> still = offset * nearly_one;
      if (above(where_less(next, still, one, zero), zero) == 0) {
        if (settled > T(0)) offset = where_less(next, offset, next, offset);
        break;
      }
      offset = where_less(next, still, next, offset);
    }
    PackOf<T> origin = pivot;
    if (settled > T(0)) {
      const PackOf<T> width(maps[0].width);
      if constexpr (Root == 1) {
        origin = pivot - width * offset;
        offset = offset + (origin - pivot) / width;
      }
      mass = one;
      const PackOf<T> enough = broadcast(settled);
      PackOf<T> moving = one;
      for (int pass = 0; pass < 16; ++pass) {
        PackOf<T> sum[Sums], rest[Sums], slopes[Sums];
#pragma GCC unroll 4
        for (int k = 0; k < Sums; ++k) sum[k] = rest[k] = slopes[k] = zero;
        with_division(from_pivot, [&](const auto& coordinate) NADARAYA_INLINE_LAMBDA {
          for (Index j = 0; j < columns; j += Sums) {
#pragma GCC unroll 4
            for (int k = 0; k < Sums; ++k) {
              const PackOf<T> x = load(column + (j + k) * lanes<T>);
              const PackOf<T> t = (Root == 1 ? coordinate(load(numbers + (j + k) * lanes<T>) - origin) : x) + offset;
              add_exactly(where_above(t, bound, profile(kernel, t)), sum[k], rest[k]);
              slopes[k] = slopes[k] + where_above(t, bound, derivative(kernel, t));
            }
          }
        });
#pragma GCC unroll 4
        for (int k = 1; k < Sums; ++k) {
          rest[0] = rest[0] + rest[k];
          add_exactly(sum[k], sum[0], rest[0]);
          slopes[0] = slopes[0] + slopes[k];
        }
        const PackOf<T> excess = (sum[0] - one) + rest[0];
        const PackOf<T> step = newton_step(sum[0], excess, slopes[0]);
        const PackOf<T> next = offset + step;
        const PackOf<T> moves = moving * slopes[0];
        if constexpr (Root > 1) mass = where_less(zero, moves, one - width * (step - (next - offset)) / next, mass);
        offset = where_less(zero, moves, next, offset);
        moving = where_less(enough, larger(excess, zero - excess), moving, zero);
        if (above(moving, zero) == 0) break;
      }
    }
    store(pivots, origin);
    store(offsets, offset);
    store(masses, mass);
    for (Index i = 0; i < rows; ++i) {
      maps[i].pivot = pivots[i];
      maps[i].offset = offsets[i];
      maps[i].mass = masses[i];
    }
  }

  /// sum += x, and rest += what that sum has lost (Knuth's exact addition, in either order of size).
  template <class T>
  NADARAYA_INLINE static void add_exactly(const PackOf<T>& x, PackOf<T>& sum, PackOf<T>& rest) {
    const PackOf<T> next = sum + x;
    const PackOf<T> added = next - sum;
    rest = rest + ((sum - (next - added)) + (x - added));
    sum = next;
  }

  /// The sum of the lanes of such a sum.
  template <class T>
  NADARAYA_INLINE static double exact_total(const PackOf<T>& sum, const PackOf<T>& rest) {
    return wide_total(sum) + wide_total(rest);
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
