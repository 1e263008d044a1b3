// Lists of the keys above a floor, near a point, or between bounds. Included once for each tier, as loops.ipp says.

struct CandidateLoops {
  /// Products of 6 rows of a with the 64 keys of a panel, of which only the candidates are written:
  /// z[i][j] = factor (a[i] . panel[:, j]), compared in the registers in which it was summed. Each list has room for 64
  /// entries and a pack.
  template <class T>
  static void candidates(Index depth, const T* a, Index a_row, const T* panel, KeyIndex first, Candidates<T>* to,
                         T factor) {
    list_panel<T>(depth, a, a_row, panel, nullptr, T(0), first, to, factor);
  }

  /// z[i][j] = factor (a[i] . panel[:, j]) + slope norm[j] + shift[i]
  template <class T>
  static void shifted_candidates(Index depth, const T* a, Index a_row, const T* panel, const T* norm, T slope,
                                 KeyIndex first, Candidates<T>* to, T factor) {
    list_panel<T>(depth, a, a_row, panel, norm, slope, first, to, factor);
  }

  /// Appends the keys first + j whose z[j] is above the floor, or NaN; returns how many. Reads z,
  /// and writes the lists, up to a whole pack further.
  template <class T>
  static Index filter(const T* z, Index n, T floor, KeyIndex first, T* out_z, KeyIndex* out_key) {
    const PackOf<T> bound = broadcast(floor);
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
    const PackOf<T> bound = broadcast(floor);
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

  /// How many of n scalars are above a bound; none is NaN.
  template <class T>
  static Index count_above(const T* z, Index n, T bound) {
    const PackOf<T> least = broadcast(bound);
    Index found = 0;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      found += simd::count_ones(above(load_up_to(z + j, count), least) & present<T>(count));
    });
    return found;
  }

  /// Writes the places of those of n scalars that are above one bound and not above the other, none of which is NaN;
  /// returns how many. The list has a pack of slack.
  template <class T>
  static Index between(const T* z, Index n, T low, T high, KeyIndex* place) {
    const PackOf<T> least = broadcast(low), most = broadcast(high);
    Index found = 0;
    each<T>(n, [&](Index j, Index count) NADARAYA_INLINE_LAMBDA {
      const PackOf<T> x = load_up_to(z + j, count);
      const unsigned mask = above(x, least) & ~above(x, most) & present<T>(count);
      compress_run(place + found, mask, static_cast<KeyIndex>(j), T());
      found += simd::count_ones(mask);
    });
    return found;
  }

  /// Writes the keys of the points whose squared distance from q, as summed here, is at most a bound, and
  /// their places, of n that begin with a given one; returns how many. axes[d], for one to three dimensions, holds the points'
  /// coordinates. All may be read, and the lists written, up to a whole pack further.
  template <class T>
  static Index within(int dimension, const T* const* axes, const KeyIndex* key, KeyIndex first, Index n, const T* q,
                      T bound, KeyIndex* out, KeyIndex* places) {
    if (dimension == 1) return within_ball<1>(axes, key, first, n, q, bound, out, places);
    if (dimension == 2) return within_ball<2>(axes, key, first, n, q, bound, out, places);
    return within_ball<3>(axes, key, first, n, q, bound, out, places);
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

 private:
  template <int Dimension, class T>
  static Index within_ball(const T* const* axes, const KeyIndex* key, KeyIndex first, Index n, const T* q, T bound,
                      KeyIndex* out, KeyIndex* places) {
    const PackOf<T> most = broadcast(bound);
    Index kept = 0;
    for (Index j = 0; j < n; j += lanes<T>) {
      PackOf<T> square = broadcast(T(0));
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

  /// Both of the above; without norms, nothing is added.
  template <class T>
  static void list_panel(Index depth, const T* a, Index a_row, const T* panel, const T* norm, T slope, KeyIndex first,
                         Candidates<T>* to, T factor) {
    constexpr Index keys = 64;
    const PackOf<T> by = broadcast(factor);
    for (Index j = 0; j < keys; j += tile_packs * lanes<T>) {
      PackOf<T> sum[tile_rows][tile_packs];
      clear<tile_rows, tile_packs, T>(sum);
      accumulate<tile_rows, tile_packs>(depth, Factor<T>{a, a_row, 1}, panel + j, keys, lanes<T>, sum);
      if (norm == nullptr) {
#pragma GCC unroll 8
        for (int i = 0; i < tile_rows; ++i) {
#pragma GCC unroll 8
          for (int k = 0; k < tile_packs; ++k) sum[i][k] = sum[i][k] * by;
        }
      } else {
#pragma GCC unroll 8
        for (int i = 0; i < tile_rows; ++i) {
#pragma GCC unroll 8
          for (int k = 0; k < tile_packs; ++k) {
            const PackOf<T> added = fma(broadcast(slope), load(norm + j + k * lanes<T>), broadcast(to[i].shift));
            sum[i][k] = fma(sum[i][k], by, added);
          }
        }
      }
      // Compared row by row in a loop of few instructions; the sums wait in memory.
      alignas(bytes) T scores[tile_rows][tile_packs * lanes<T>];
#pragma GCC unroll 8
      for (int i = 0; i < tile_rows; ++i) {
#pragma GCC unroll 8
        for (int k = 0; k < tile_packs; ++k) store(&scores[i][k * lanes<T>], sum[i][k]);
      }
#pragma GCC unroll 1
      for (int i = 0; i < tile_rows; ++i) append_above(scores[i], j, first, to[i]);
    }
  }

  /// Appends those of a tile's scores of one row that are visible and above the floor: keys first + j, first + j + 1, ...
  template <class T>
  NADARAYA_INLINE static void append_above(const T* scores, Index j, KeyIndex first, Candidates<T>& to) {
    const PackOf<T> floor = broadcast(to.floor);
    PackOf<T> score[tile_packs];
    unsigned found[tile_packs];
    unsigned any = 0;
#pragma GCC unroll 8
    for (int k = 0; k < tile_packs; ++k) {
      score[k] = load(scores + k * lanes<T>);
      found[k] = above(score[k], floor) & present<T>(lanes<T>) & static_cast<unsigned>(to.visible >> (j + k * lanes<T>));
      any |= found[k];
    }
    if (any == 0) return;
    // Ends of the lists in registers: for all that a compiler knows, they lie where a pack is stored.
    T* z = to.z;
    KeyIndex* key = to.key;
    // A branch for each pack would be guessed wrongly more often than it saves.
#pragma GCC unroll 8
    for (int k = 0; k < tile_packs; ++k) {
      compress(z, found[k], score[k]);
      compress_run(key, found[k], first + static_cast<KeyIndex>(j + k * lanes<T>), T());
      const int count = simd::count_ones(found[k]);
      z += count;
      key += count;
    }
    to.z = z;
    to.key = key;
  }
};
