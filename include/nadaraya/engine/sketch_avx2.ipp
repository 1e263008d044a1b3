// Included once for each kind of whole numbers, inside its namespace and its target region, which has
// Whole, multiply_add and packed. Rows of double are prepared one by one.

struct Sketch : PortableSketch<Whole> {
  using PortableSketch<Whole>::aim;
  using PortableSketch<Whole>::quantize_keys;
  using PortableSketch<Whole>::quantize_query;

  static Missed<float> quantize_keys(const float* x, Index stride, Index n, Index cols, const float* centre,
                                     const Steps<float>& by, std::uint8_t* codes) {
    Missed<float> most;
    for (Index j = 0; j < n; ++j) {
      Squares row{_mm256_setzero_ps(), _mm256_setzero_ps()};
      for (Index d = 0; d < cols; d += 8) {
        const __m256 from = _mm256_sub_ps(first_of(x + j * stride + d, cols - d), first_of(centre + d, cols - d));
        const __m256i whole = _mm256_add_epi32(quantize(from, by, row), _mm256_set1_epi32(Whole::zero));
        alignas(16) std::uint8_t all[16];
        _mm_store_si128(reinterpret_cast<__m128i*>(all), packed(whole));
        const Index groups = (std::min)(sketch_groups<Whole>(cols - d), 8 / columns<Whole>);
        std::uint8_t* to = codes + d / columns<Whole> * (sketch_keys * sketch_group) + j * sketch_group;
        for (Index g = 0; g < groups; ++g) std::memcpy(to + g * (sketch_keys * sketch_group), all + g * sketch_group, sketch_group);
      }
      const Missed<float> squares = row.total();
      most.rest = squares.rest > most.rest ? squares.rest : most.rest;
      most.taken = squares.taken > most.taken ? squares.taken : most.taken;
    }
    return most;
  }

  static Missed<float> quantize_query(const float* x, Index cols, const Steps<float>& by, std::uint8_t* codes,
                                      std::int32_t& zero) {
    Squares row{_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256i sum = _mm256_setzero_si256();
    for (Index d = 0; d < cols; d += 8) {
      const __m256i whole = quantize(first_of(x + d, cols - d), by, row);
      sum = _mm256_add_epi32(sum, whole);
      alignas(16) std::uint8_t all[16];
      _mm_store_si128(reinterpret_cast<__m128i*>(all), packed(whole));
      // Codes have room for 16 bytes more than there are.
      std::memcpy(codes + d * Index(sizeof(typename Whole::Query)), all, 8 * sizeof(typename Whole::Query));
    }
    alignas(32) std::int32_t sums[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums), sum);
    zero = 0;
    for (const std::int32_t s : sums) zero += Whole::zero * s;
    return row.total();
  }

  /// All arrays have room for sixteen more.
  static bool aim(const PanelErrors<float>& panel, const Levels<float>& from, Index n, const Aims<float>& to,
                  std::uint16_t* in_reach) {
    const __m256 per_norm = _mm256_set1_ps(panel.rest + panel.rounding), taken = _mm256_set1_ps(panel.taken);
    const __m256 step = _mm256_set1_ps(panel.step), one = _mm256_set1_ps(1.0f);
    const __m256 slack = _mm256_set1_ps(8.0f * 1.1920929e-7f), bound = _mm256_set1_ps(1 << 30);
    bool any = false;
    for (Index r = 0; r < n; r += 8) {
      const __m256 norm = _mm256_loadu_ps(from.norm + r), rest = _mm256_loadu_ps(from.rest + r);
      const __m256 centre = _mm256_loadu_ps(from.centre + r);
      const __m256 error = _mm256_fmadd_ps(norm, per_norm, _mm256_mul_ps(rest, taken));
      const __m256 unit = _mm256_mul_ps(_mm256_loadu_ps(from.step + r), step);
      const __m256 missing = _mm256_sub_ps(_mm256_sub_ps(_mm256_loadu_ps(from.level + r), centre), error);
      const __m256 out_of_reach = _mm256_cmp_ps(missing, _mm256_mul_ps(_mm256_add_ps(norm, rest), taken), _CMP_GT_OQ);
      __m256 sums = _mm256_div_ps(missing, unit);
      const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), sums);
      sums = _mm256_sub_ps(sums, _mm256_fmadd_ps(size, slack, one));
      // The second operand where the first is NaN.
      sums = _mm256_min_ps(_mm256_max_ps(sums, _mm256_sub_ps(_mm256_setzero_ps(), bound)), bound);
      // Rounded to the nearest: of the one that has been taken off, half is left.
      const __m256i threshold = _mm256_add_epi32(_mm256_cvtps_epi32(sums), load(to.zero + r));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.threshold + r),
                          _mm256_blendv_epi8(threshold, _mm256_set1_epi32(0x7fffffff), _mm256_castps_si256(out_of_reach)));
      _mm256_storeu_ps(to.base + r, _mm256_sub_ps(centre, error));
      _mm256_storeu_ps(to.unit + r, unit);
      const unsigned there = n - r >= 8 ? 0xffu : (1u << (n - r)) - 1u;
      const unsigned reached = ~static_cast<unsigned>(_mm256_movemask_ps(out_of_reach)) & there;
      const unsigned before = r % 16 == 0 ? 0 : in_reach[r / 16];
      in_reach[r / 16] = static_cast<std::uint16_t>(before | reached << (r % 16));
      any |= reached != 0;
    }
    return any;
  }

  template <class T>
  static Index screen(Index rows, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                      const Aims<T>& aims, const std::uint16_t* in_reach, KeyIndex first, Index /*expected*/,
                      Candidates<T>* to) {
    Index passed = 0;
    const Index in_tiles = rows / tile_rows * tile_rows;
    Hits<part_packs> hits;
    // A quarter of the panel at a time, whose sums with the queries of a tile stay in registers.
    for (Index part = 0; part < sketch_keys && in_tiles > 0; part += 8 * part_packs) {
      for (Index r = 0; r < in_tiles; r += tile_rows) {
        if ((in_reach[r / 16] >> (r % 16) & ((1u << tile_rows) - 1u)) == 0) continue;
        set_aside<tile_rows>(groups, query + r * stride, stride, codes + part * sketch_group, aims.threshold, r, part, to, hits);
        if (hits.count > hits.most - tile_rows) passed += list(hits, aims, first + static_cast<KeyIndex>(part), to);
      }
      passed += list(hits, aims, first + static_cast<KeyIndex>(part), to);
    }
    // The others, such as a decoder's one, read the panel from its beginning to its end.
    Hits<8> of_row;
    for (Index r = in_tiles; r < rows; ++r) {
      set_aside<1>(groups, query + r * stride, stride, codes, aims.threshold, r, 0, to, of_row);
      passed += list(of_row, aims, first, to);
    }
    return passed;
  }

 private:
  static constexpr int part_packs = 2;
  static constexpr Index tile_rows = 4;
  static_assert(16 % tile_rows == 0, "the rows of a tile are bits of one number");

  /// Sums in a type of their own, as in sketch_avx512.hpp.
  typedef std::int32_t Sums __attribute__((vector_size(32)));

  struct Squares {
    __m256 rest;
    __m256 taken;

    NADARAYA_INLINE Missed<float> total() const {
      return Missed<float>{avx2::total(simd::Pack<float, 32>(rest)), avx2::total(simd::Pack<float, 32>(taken))};
    }
  };

  NADARAYA_INLINE static __m256 first_of(const float* x, Index n) {
    return n >= 8 ? _mm256_loadu_ps(x) : avx2::load_part(x, n).v;
  }

  NADARAYA_INLINE static __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

  NADARAYA_INLINE static __m256i quantize(__m256 x, const Steps<float>& by, Squares& row) {
    const __m256 step = _mm256_set1_ps(by.step);
    const __m256i code = _mm256_cvtps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(by.inverse)));
    const __m256 whole = _mm256_cvtepi32_ps(code);
    const __m256 missed = _mm256_fnmadd_ps(whole, step, x);
    const __m256 stands_for = _mm256_mul_ps(whole, step);
    row.rest = _mm256_fmadd_ps(missed, missed, row.rest);
    row.taken = _mm256_fmadd_ps(stands_for, stands_for, row.taken);
    return code;
  }

  /// Queries that one of some packs of keys passes for, with the sums and a bit for each key that passes.
  template <int Packs>
  struct Hits {
    static constexpr int most = 64;

    int count = 0;
    Index row[most];
    std::uint64_t keys[most];
    Sums sum[most][Packs];
  };

  /// Sets the queries aside that a key passes for. Each is written down, and written over by the next if none
  /// does: a branch for each would often be guessed wrongly. The packs begin with key `part` of the panel.
  template <int Rows, int Packs, class T>
  NADARAYA_INLINE static void set_aside(Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                                        const std::int32_t* threshold, Index r, Index part, const Candidates<T>* to,
                                        Hits<Packs>& hits) {
    Sums sum[Rows][Packs];
    accumulate(groups, query, stride, codes, sum);
    int count = hits.count;
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const __m256i bound = _mm256_set1_epi32(threshold[r + i]);
      std::uint64_t passed = 0;
#pragma GCC unroll 8
      for (int k = 0; k < Packs; ++k) {
        passed |= exceeds(sum[i][k], bound) << (8 * k);
        hits.sum[count][k] = sum[i][k];
      }
      hits.row[count] = r + i;
      hits.keys[count] = passed & to[r + i].visible >> part;
      count += hits.keys[count] != 0;
    }
    hits.count = count;
  }

  NADARAYA_INLINE static std::uint64_t exceeds(Sums sum, __m256i bound) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32((__m256i)sum, bound))));
  }

  /// Flushes the stashed hits to the lists; returns the number of queries flushed.
  template <int Packs, class T>
  NADARAYA_INLINE static Index list(Hits<Packs>& hits, const Aims<T>& aims, KeyIndex first, Candidates<T>* to) {
    for (int i = 0; i < hits.count; ++i) {
      const Index r = hits.row[i];
      T* z = to[r].z;
      KeyIndex* key = to[r].key;
      const __m256i zero = _mm256_set1_epi32(aims.zero[r]);
#pragma GCC unroll 8
      for (int k = 0; k < Packs; ++k) {
        append(z, key, static_cast<unsigned>(hits.keys[i] >> (8 * k) & 0xff), _mm256_sub_epi32((__m256i)hits.sum[i][k], zero), aims.base[r],
               aims.unit[r], first + static_cast<KeyIndex>(8 * k));
      }
      to[r].z = z;
      to[r].key = key;
    }
    return std::exchange(hits.count, 0);
  }

  /// Appends those of eight keys that were found.
  NADARAYA_INLINE static void append(float*& z, KeyIndex*& key, unsigned found, __m256i sum, float base, float unit,
                                     KeyIndex first) {
    const __m256 bound = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(unit), _mm256_set1_ps(base));
    avx2::compress(z, found, avx2::PackOf<float>(bound));
    avx2::compress_run(key, found, first, float());
    const int count = simd::count_ones(found);
    z += count;
    key += count;
  }
  NADARAYA_INLINE static void append(double*& z, KeyIndex*& key, unsigned found, __m256i sum, double base, double unit,
                                     KeyIndex first) {
    const __m128i four[2] = {_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)};
    for (int half = 0; half < 2; ++half) {
      const unsigned of_half = found >> (4 * half) & 0xfu;
      const __m256d bound = _mm256_fmadd_pd(_mm256_cvtepi32_pd(four[half]), _mm256_set1_pd(unit), _mm256_set1_pd(base));
      avx2::compress(z, of_half, avx2::PackOf<double>(bound));
      avx2::compress_run(key, of_half, first + static_cast<KeyIndex>(4 * half), double());
      const int count = simd::count_ones(of_half);
      z += count;
      key += count;
    }
  }

  template <int Rows, int Packs>
  NADARAYA_INLINE static void accumulate(Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                                         Sums (&sum)[Rows][Packs]) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int k = 0; k < Packs; ++k) sum[i][k] = Sums{};
    }
    const std::uint8_t* end = query + groups * sketch_group;
    for (; query < end; query += sketch_group, codes += sketch_keys * sketch_group) {
      __m256i key[Packs];
#pragma GCC unroll 8
      for (int k = 0; k < Packs; ++k) key[k] = load(codes + 32 * k);
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
        std::int32_t group;
        std::memcpy(&group, query + i * stride, sizeof group);
        const __m256i factor = _mm256_set1_epi32(group);
#pragma GCC unroll 8
        for (int k = 0; k < Packs; ++k) sum[i][k] = (Sums)multiply_add((__m256i)sum[i][k], key[k], factor);
      }
    }
  }
};
