// The loops of screening, included once for each target inside its namespace and region. That has a namespace `tier` with
// packs of reals, as simd/tier.ipp has them.

/// Isa has a pack of whole numbers, as many as there are floats in a pack, with
///   exceeds(a, b)        bit j: is lane j of a above that of b?
///   larger(a, b)         lane by lane
///   nearest(x)           the reals of a pack, rounded to whole numbers
///   threshold(x)         the same, rounded to the nearest or down
///   reals<T>(x)          of whole numbers
///   reals<T>(from, less) of those in memory, as many as a pack of T has lanes, `less` subtracted
///   narrow(codes, to)    writes the lowest byte or word of each lane, and up to 16 bytes in all
///   dot(sum, key, query) adds the products of the codes in each lane.
template <class Isa>
struct Loops {
  using Codes = typename Isa::Codes;
  using Whole = typename Isa::Whole;

  /// Codes of n <= 64 rows x - centre: those of the columns of group g of row j are bytes 256 g + 4 j and on. Returns squared
  /// norms, as summed.
  template <class T>
  static ResidualNorms<T> quantize_keys(const T* x, Index stride, Index n, Index cols, const T* centre, Steps<T> by,
                                        std::uint8_t* codes) {
    // Columns whose codes are adjacent.
    constexpr Index part = lanes < group_columns<Codes> ? lanes : group_columns<Codes>;
    ResidualNorms<T> most;
    for (Index j = 0; j < n; ++j) {
      Squares<T> row{tier::broadcast(T(0)), tier::broadcast(T(0))};
      for (Index d = 0; d < cols; d += lanes) {
        const auto from = first_of(x + j * stride + d, cols - d) - first_of(centre + d, cols - d);
        std::uint8_t some[16];
        Isa::narrow(quantize(from, by, row) + Codes::zero, some);
        std::uint8_t* const to = codes + d / group_columns<Codes> * (panel_keys * group_bytes) + j * group_bytes +
                                 d % group_columns<Codes> * code_bytes;
#pragma GCC unroll 8
        for (Index c = 0; c < lanes; c += part) {
          if (c >= cols - d) break;
          std::memcpy(to + c / part * (panel_keys * group_bytes), some + c * code_bytes, part * code_bytes);
        }
      }
      const ResidualNorms<T> squares = row.total();
      most.residual = squares.residual > most.residual ? squares.residual : most.residual;
      most.quantized = squares.quantized > most.quantized ? squares.quantized : most.quantized;
    }
    return most;
  }

  /// Codes of one query, one after the other with room for 16 bytes more, and the sum that a key of zeros gives with them.
  template <class T>
  static ResidualNorms<T> quantize_query(const T* x, Index cols, Steps<T> by, std::uint8_t* codes, std::int32_t& zero) {
    Squares<T> row{tier::broadcast(T(0)), tier::broadcast(T(0))};
    Whole sum{};
    for (Index d = 0; d < cols; d += lanes) {
      const Whole code = quantize(first_of(x + d, cols - d), by, row);
      sum = sum + code;
      std::uint8_t some[16];
      Isa::narrow(code, some);
      std::memcpy(codes + d * code_bytes, some, lanes * code_bytes);
    }
    std::int32_t sums[lanes];
    std::memcpy(sums, &sum, sizeof sums);
    zero = 0;
    for (const std::int32_t s : sums) zero += Codes::zero * s;
    return row.total();
  }

  /// Sets the thresholds of n queries for a panel, and a bit for each query that one of its keys can be a candidate of;
  /// returns whether there is one. All arrays have room for sixteen more.
  template <class T>
  static bool set_thresholds(const PanelErrors<T>& panel, const QueryBounds<T>& from, Index n, const ScreeningThresholds<T>& to,
                             std::uint16_t* reached) {
    using Real = tier::PackOf<T>;
    const Real per_norm(panel.residual + panel.rounding), quantized(panel.quantized), step(panel.step), zero(T(0)), one(T(1));
    const Real slack(T(8) * std::numeric_limits<T>::epsilon()), bound(T(1 << 30));
    unsigned any = 0;
    for (Index r = 0; r < n; r += lanes) {
      const Real norm = tier::load(from.norm + r), residual = tier::load(from.residual + r), centre = tier::load(from.centre + r);
      const Real error = tier::fma(norm, per_norm, residual * quantized);
      const Real unit = tier::load(from.step + r) * step;
      const Real missing = (tier::load(from.floor + r) - centre) - error;
      const Real farthest = (norm + residual) * quantized;
      Real sums = missing / unit;
      sums = sums - tier::fma(tier::larger(sums, -sums), slack, one);
      // NaN passes. Out of reach: no sum of products is as large as the bound.
      sums = where_less(-bound, sums, where_less(sums, bound, sums, bound), -bound);
      sums = where_less(farthest, missing, bound, sums);
      const Whole threshold = Isa::threshold(sums) + load(to.zero + r);
      std::memcpy(to.sum + r, &threshold, sizeof threshold);
      tier::store(to.base + r, centre - error);
      tier::store(to.unit + r, unit);
      const unsigned out_of_reach = tier::above(where_less(farthest, missing, one, zero), zero);
      const unsigned valid = (n - r >= lanes ? 1u << lanes : 1u << (n - r)) - 1u;
      const unsigned before = r % screened_queries == 0 ? 0 : reached[r / screened_queries];
      const unsigned found = ~out_of_reach & valid;
      reached[r / screened_queries] = static_cast<std::uint16_t>(before | found << (r % screened_queries));
      any |= found;
    }
    return any != 0;
  }

  /// Forms the sums of n <= 16 queries with a panel, and returns a bit for each query with a sum above its threshold. Queries
  /// whose bit in `reached` is not set may be left out. Codes of queries are `stride` bytes apart.
  static unsigned find(Index n, unsigned reached, Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* codes,
                       const std::int32_t* threshold, PanelSums& sums) {
    constexpr int rows = 4, packs_of_row = panel_keys / lanes < 8 ? panel_keys / lanes : 8;
    unsigned found = 0;
    Index i = 0;
    for (; i + rows <= n; i += rows) {
      if ((reached >> i & ((1u << rows) - 1u)) == 0) continue;
      found |= products<rows, Isa::packs>(groups, query + i * stride, stride, codes, threshold + i, sums[i]) << i;
    }
    // One query, such as a decoder's, reads the panel from its beginning to its end.
    for (; i < n; ++i) {
      found |= products<1, packs_of_row>(groups, query + i * stride, stride, codes, threshold + i, sums[i]) << i;
    }
    return found & reached;
  }

  /// Bit j: is sum j of a query above its threshold?
  NADARAYA_INLINE static std::uint64_t above(const std::int32_t* sums, std::int32_t threshold) {
    std::uint64_t keys = 0;
#pragma GCC unroll 8
    for (Index j = 0; j < panel_keys; j += lanes) keys |= std::uint64_t(Isa::exceeds(load(sums + j), Whole{} + threshold)) << j;
    return keys;
  }

  /// True if there is one.
  NADARAYA_INLINE static bool any_above(const std::int32_t* sums, std::int32_t threshold) {
    Whole most = load(sums);
#pragma GCC unroll 8
    for (Index j = lanes; j < panel_keys; j += lanes) most = Isa::larger(most, load(sums + j));
    return Isa::exceeds(most, Whole{} + threshold) != 0;
  }

  /// Appends the keys of a panel whose sums exceed the thresholds, with a lower bound on their similarity, to the lists of
  /// the queries that were found.
  template <class T>
  static void list(const PanelSums& sums, unsigned found, const ScreeningThresholds<T>& at, KeyIndex first, Candidates<T>* to) {
    for (; found != 0; found &= found - 1) {
      const int i = simd::lowest_one(found);
      const std::uint64_t keys = above(sums[i], at.sum[i]) & to[i].visible;
      T* z = to[i].z;
      KeyIndex* key = to[i].key;
      // As measured: whole packs take as long as this many keys one by one.
      if (simd::count_ones(keys) <= 4) {
        for (std::uint64_t left = keys; left != 0; left &= left - 1) {
          const int j = simd::lowest_one(left);
          *z++ = at.base[i] + at.unit[i] * static_cast<T>(sums[i][j] - at.zero[i]);
          *key++ = first + static_cast<KeyIndex>(j);
        }
      } else {
#pragma GCC unroll 8
        for (Index j = 0; j < panel_keys; j += lanes) {
          append(z, key, static_cast<unsigned>(keys >> j), sums[i] + j, at.from(i), first + static_cast<KeyIndex>(j));
        }
      }
      to[i].z = z;
      to[i].key = key;
    }
  }

 private:
  static constexpr Index lanes = tier::lanes<float>;
  static constexpr Index code_bytes = sizeof(typename Codes::Key);

  template <class T>
  struct Squares {
    tier::PackOf<T> residual, quantized;

    NADARAYA_INLINE ResidualNorms<T> total() const { return ResidualNorms<T>{tier::total(residual), tier::total(quantized)}; }
  };

  NADARAYA_INLINE static Whole load(const void* from) {
    Whole whole;
    std::memcpy(&whole, from, sizeof whole);
    return whole;
  }

  template <class T>
  NADARAYA_INLINE static tier::PackOf<T> first_of(const T* x, [[maybe_unused]] Index n) {
    if constexpr (lanes == 1) {
      return *x;
    } else {
      return tier::PackOf<T>(n >= lanes ? tier::load(x).v : tier::load_part(x, n).v);
    }
  }

  /// Codes of x; adds the squares of their residuals and of the numbers they represent.
  template <class Real, class T>
  NADARAYA_INLINE static Whole quantize(const Real& x, Steps<T> by, Squares<T>& row) {
    const Real step = tier::broadcast(by.step);
    const Whole code = Isa::nearest(x * tier::broadcast(by.inverse));
    const Real whole = Isa::template reals<T>(code), represented = whole * step;
    const Real missed = tier::fma(-whole, step, x);
    row.residual = tier::fma(missed, missed, row.residual);
    row.quantized = tier::fma(represented, represented, row.quantized);
    return code;
  }

  /// Appends those of a pack of keys that were found for the first query of `at`.
  template <class T>
  NADARAYA_INLINE static void append(T*& z, KeyIndex*& key, unsigned found, const std::int32_t* sums,
                                     const ScreeningThresholds<T>& at, KeyIndex first) {
    constexpr Index some = tier::lanes<T>;
    const auto base = tier::broadcast(*at.base), unit = tier::broadcast(*at.unit);
#pragma GCC unroll 2
    for (Index j = 0; j < lanes; j += some) {
      const unsigned part = found >> j & ((1u << some) - 1u);
      tier::compress(z, part, tier::fma(Isa::template reals<T>(sums + j, *at.zero), unit, base));
      tier::compress_run(key, part, first + static_cast<KeyIndex>(j), T());
      const int count = simd::count_ones(part);
      z += count;
      key += count;
    }
  }

  /// The sums of some queries with a panel: those with a few packs of its keys at a time stay in registers. Returns a bit for
  /// each query with a sum above its threshold.
  template <int Rows, int Packs>
  NADARAYA_INLINE static unsigned products(Index groups, const std::uint8_t* query, Index stride, const std::uint8_t* panel,
                                           const std::int32_t* threshold, std::int32_t* sums) {
    unsigned found = 0;
    for (Index first = 0; first < panel_keys; first += lanes * Packs) {
      Whole sum[Rows][Packs];
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
        for (int k = 0; k < Packs; ++k) sum[i][k] = Whole{};
      }
      const std::uint8_t* codes = panel + first * group_bytes;
      const std::uint8_t* const end = query + groups * group_bytes;
#pragma GCC unroll 2
      for (const std::uint8_t* q = query; q < end; q += group_bytes, codes += panel_keys * group_bytes) {
        Whole key[Packs];
#pragma GCC unroll 8
        for (int k = 0; k < Packs; ++k) key[k] = load(codes + k * lanes * group_bytes);
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i) {
          std::int32_t group;
          std::memcpy(&group, q + i * stride, sizeof group);
#pragma GCC unroll 8
          for (int k = 0; k < Packs; ++k) sum[i][k] = Isa::dot(sum[i][k], key[k], Whole{} + group);
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
        Whole most = sum[i][0];
#pragma GCC unroll 8
        for (int k = 1; k < Packs; ++k) most = Isa::larger(most, sum[i][k]);
        found |= static_cast<unsigned>(Isa::exceeds(most, Whole{} + threshold[i]) != 0) << i;
#pragma GCC unroll 8
        for (int k = 0; k < Packs; ++k) std::memcpy(sums + i * panel_keys + first + k * lanes, &sum[i][k], sizeof sum[i][k]);
      }
    }
    return found;
  }
};
