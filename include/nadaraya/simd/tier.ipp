// Included once for each tier, inside its namespace and its target region: packs of the tier's
// width, and the few operations for which instructions are named. NADARAYA_TIER_BYTES is the width.
// NADARAYA_TIER_ARRAYS, if defined, asks for lanes in arrays, with which any width runs anywhere.

inline constexpr std::size_t bytes = NADARAYA_TIER_BYTES;

// Whose instructions are named: those of x86 for the width of the vectors, NEON's, or nobody's.
#if defined(NADARAYA_TIER_ARRAYS) || !NADARAYA_HAS_VECTORS
#define NADARAYA_TIER_X86 0
#define NADARAYA_TIER_NEON 0
#elif defined(__SSE2__) || NADARAYA_TIER_BYTES > 16
#define NADARAYA_TIER_X86 NADARAYA_TIER_BYTES
#define NADARAYA_TIER_NEON 0
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define NADARAYA_TIER_X86 0
#define NADARAYA_TIER_NEON 1
#else
#define NADARAYA_TIER_X86 0
#define NADARAYA_TIER_NEON 0
#endif

// clang's comparison intrinsics follow -ffinite-math-only wherever they are called; its operators on vectors obey
// detail/precise.hpp, and are slower in GCC.
#if defined(__clang__)
#define NADARAYA_TIER_PLAIN_COMPARISONS 1
#else
#define NADARAYA_TIER_PLAIN_COMPARISONS 0
#endif

template <class T>
#if defined(NADARAYA_TIER_ARRAYS)
using PackOf = Pack<T, bytes, simd::Arrays>;
#else
using PackOf = Pack<T, bytes>;
#endif

template <class T>
inline constexpr Index lanes = static_cast<Index>(PackOf<T>::lanes);

template <class T>
NADARAYA_INLINE PackOf<T> load(const T* from) {
  PackOf<T> p;
  std::memcpy(&p.v, from, bytes);
  return p;
}

template <class T>
NADARAYA_INLINE void store(T* to, const PackOf<T>& p) {
#if defined(NADARAYA_TIER_ARRAYS) || !NADARAYA_HAS_VECTORS
  std::memcpy(to, &p.v, bytes);
#else
  // A memcpy to an array of known size may be a call that checks it (_FORTIFY_SOURCE).
  typedef T Anywhere __attribute__((vector_size(bytes), aligned(1), may_alias));
  *reinterpret_cast<Anywhere*>(to) = p.v;
#endif
}

#if NADARAYA_TIER_X86 != 0 || NADARAYA_TIER_NEON
/// Returns a vector whose lanes may be NaN; compiled here for the tier's registers.
template <class Vector>
NADARAYA_INLINE Vector maybe_nan(Vector v) {
  NADARAYA_MAYBE_NAN(v);
  return v;
}
#endif

#if NADARAYA_TIER_X86 == 64

/// The first n < lanes scalars, and the lanes of `rest` behind them. Nothing further is read.
NADARAYA_INLINE PackOf<float> load_part(const float* from, Index n, const PackOf<float>& rest) {
  return PackOf<float>(_mm512_mask_loadu_ps(rest.v, static_cast<__mmask16>((1u << n) - 1u), from));
}
NADARAYA_INLINE PackOf<double> load_part(const double* from, Index n, const PackOf<double>& rest) {
  return PackOf<double>(_mm512_mask_loadu_pd(rest.v, static_cast<__mmask8>((1u << n) - 1u), from));
}
NADARAYA_INLINE void store_part(float* to, const PackOf<float>& p, Index n) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << n) - 1u), p.v);
}
NADARAYA_INLINE void store_part(double* to, const PackOf<double>& p, Index n) {
  _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << n) - 1u), p.v);
}

NADARAYA_INLINE PackOf<float> broadcast(float x) { return PackOf<float>(_mm512_set1_ps(x)); }
NADARAYA_INLINE PackOf<double> broadcast(double x) { return PackOf<double>(_mm512_set1_pd(x)); }
NADARAYA_INLINE PackOf<float> fma(const PackOf<float>& a, const PackOf<float>& b, const PackOf<float>& c) {
  return PackOf<float>(_mm512_fmadd_ps(a.v, b.v, c.v));
}
NADARAYA_INLINE PackOf<double> fma(const PackOf<double>& a, const PackOf<double>& b, const PackOf<double>& c) {
  return PackOf<double>(_mm512_fmadd_pd(a.v, b.v, c.v));
}
/// The larger, lane by lane. NaN in either may vanish.
NADARAYA_INLINE PackOf<float> larger(const PackOf<float>& a, const PackOf<float>& b) {
  return PackOf<float>(_mm512_maskz_max_ps(0xffff, a.v, b.v));
}
NADARAYA_INLINE PackOf<double> larger(const PackOf<double>& a, const PackOf<double>& b) {
  return PackOf<double>(_mm512_maskz_max_pd(0xff, a.v, b.v));
}
NADARAYA_INLINE PackOf<float> sqrt(const PackOf<float>& x) { return PackOf<float>(_mm512_maskz_sqrt_ps(0xffff, x.v)); }
NADARAYA_INLINE PackOf<double> sqrt(const PackOf<double>& x) { return PackOf<double>(_mm512_maskz_sqrt_pd(0xff, x.v)); }
/// e^x as by simd::exp, with the powers of two multiplied by at once. NaN stays: of two numbers that cannot be
/// compared, the instructions choose the second.
NADARAYA_INLINE PackOf<float> exp(const PackOf<float>& x) {
  const PackOf<float> low(simd::ExpConstants<float>::lowest), high(simd::ExpConstants<float>::highest);
  const auto parts = simd::exp_parts(PackOf<float>(_mm512_maskz_min_ps(0xffff, high.v, _mm512_maskz_max_ps(0xffff, low.v, x.v))));
  return PackOf<float>(_mm512_maskz_scalef_ps(0xffff, parts.sum, parts.n));
}
NADARAYA_INLINE PackOf<double> exp(const PackOf<double>& x) {
  const PackOf<double> low(simd::ExpConstants<double>::lowest), high(simd::ExpConstants<double>::highest);
  const auto parts = simd::exp_parts(PackOf<double>(_mm512_maskz_min_pd(0xff, high.v, _mm512_maskz_max_pd(0xff, low.v, x.v))));
  return PackOf<double>(_mm512_maskz_scalef_pd(0xff, parts.sum, parts.n));
}
/// Bit j: is lane j above the bound, or NaN?
#if NADARAYA_TIER_PLAIN_COMPARISONS
NADARAYA_INLINE unsigned above(const PackOf<float>& x, const PackOf<float>& bound) {
  return 0xffffu & ~unsigned(_mm512_movepi32_mask(__m512i(maybe_nan(x.v) <= bound.v)));
}
NADARAYA_INLINE unsigned above(const PackOf<double>& x, const PackOf<double>& bound) {
  return 0xffu & ~unsigned(_mm512_movepi64_mask(__m512i(maybe_nan(x.v) <= bound.v)));
}
#else
NADARAYA_INLINE unsigned above(const PackOf<float>& x, const PackOf<float>& bound) {
  return _mm512_cmp_ps_mask(x.v, bound.v, _CMP_NLE_UQ);
}
NADARAYA_INLINE unsigned above(const PackOf<double>& x, const PackOf<double>& bound) {
  return _mm512_cmp_pd_mask(x.v, bound.v, _CMP_NLE_UQ);
}
#endif
/// Writes the lanes whose bit is set next to each other; may write a whole pack.
NADARAYA_INLINE void compress(float* to, unsigned mask, const PackOf<float>& x) {
  // Compressed in a register: the instruction that compresses to memory is microcoded on Zen 4.
  _mm512_storeu_ps(to, _mm512_maskz_compress_ps(static_cast<__mmask16>(mask), x.v));
}
NADARAYA_INLINE void compress(double* to, unsigned mask, const PackOf<double>& x) {
  _mm512_storeu_pd(to, _mm512_maskz_compress_pd(static_cast<__mmask8>(mask), x.v));
}
/// The same for the keys of as many lanes.
NADARAYA_INLINE void compress_keys(KeyIndex* to, unsigned mask, const KeyIndex* keys, float) {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), _mm512_loadu_si512(keys)));
}
NADARAYA_INLINE void compress_keys(KeyIndex* to, unsigned mask, const KeyIndex* keys, double) {
  const __m256i k = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(keys));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_maskz_compress_epi32(static_cast<__mmask8>(mask), k));
}
/// The same for the keys first, first + 1, ...
NADARAYA_INLINE void compress_run(KeyIndex* to, unsigned mask, KeyIndex first, float) {
  const __m512i run = _mm512_add_epi32(_mm512_set1_epi32(first),
                                       _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), run));
}
NADARAYA_INLINE void compress_run(KeyIndex* to, unsigned mask, KeyIndex first, double) {
  const __m256i run = _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_maskz_compress_epi32(static_cast<__mmask8>(mask), run));
}

#else

/// The first n < lanes scalars, and the lanes of `rest` behind them. Nothing further is read.
template <class T>
NADARAYA_INLINE PackOf<T> load_part(const T* from, Index n, const PackOf<T>& rest) {
  PackOf<T> p = rest;
  std::memcpy(&p.v, from, static_cast<std::size_t>(n) * sizeof(T));
  return p;
}

template <class T>
NADARAYA_INLINE void store_part(T* to, const PackOf<T>& p, Index n) {
  std::memcpy(to, &p.v, static_cast<std::size_t>(n) * sizeof(T));
}

#if NADARAYA_TIER_X86 == 32
NADARAYA_INLINE PackOf<float> broadcast(float x) { return PackOf<float>(_mm256_set1_ps(x)); }
NADARAYA_INLINE PackOf<double> broadcast(double x) { return PackOf<double>(_mm256_set1_pd(x)); }
NADARAYA_INLINE PackOf<float> fma(const PackOf<float>& a, const PackOf<float>& b, const PackOf<float>& c) {
  return PackOf<float>(_mm256_fmadd_ps(a.v, b.v, c.v));
}
NADARAYA_INLINE PackOf<double> fma(const PackOf<double>& a, const PackOf<double>& b, const PackOf<double>& c) {
  return PackOf<double>(_mm256_fmadd_pd(a.v, b.v, c.v));
}
NADARAYA_INLINE PackOf<float> sqrt(const PackOf<float>& x) { return PackOf<float>(_mm256_sqrt_ps(x.v)); }
NADARAYA_INLINE PackOf<double> sqrt(const PackOf<double>& x) { return PackOf<double>(_mm256_sqrt_pd(x.v)); }
#if NADARAYA_TIER_PLAIN_COMPARISONS
NADARAYA_INLINE unsigned above(const PackOf<float>& x, const PackOf<float>& bound) {
  return 0xffu & ~static_cast<unsigned>(_mm256_movemask_ps(__m256(maybe_nan(x.v) <= bound.v)));
}
NADARAYA_INLINE unsigned above(const PackOf<double>& x, const PackOf<double>& bound) {
  return 0xfu & ~static_cast<unsigned>(_mm256_movemask_pd(__m256d(maybe_nan(x.v) <= bound.v)));
}
#else
NADARAYA_INLINE unsigned above(const PackOf<float>& x, const PackOf<float>& bound) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(x.v, bound.v, _CMP_NLE_UQ)));
}
NADARAYA_INLINE unsigned above(const PackOf<double>& x, const PackOf<double>& bound) {
  return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(x.v, bound.v, _CMP_NLE_UQ)));
}
#endif
#elif NADARAYA_TIER_X86 == 16
NADARAYA_INLINE PackOf<float> broadcast(float x) { return PackOf<float>(_mm_set1_ps(x)); }
NADARAYA_INLINE PackOf<double> broadcast(double x) { return PackOf<double>(_mm_set1_pd(x)); }
template <class T>
NADARAYA_INLINE PackOf<T> fma(const PackOf<T>& a, const PackOf<T>& b, const PackOf<T>& c) {
  return a * b + c;
}
NADARAYA_INLINE PackOf<float> sqrt(const PackOf<float>& x) { return PackOf<float>(_mm_sqrt_ps(x.v)); }
NADARAYA_INLINE PackOf<double> sqrt(const PackOf<double>& x) { return PackOf<double>(_mm_sqrt_pd(x.v)); }
#if NADARAYA_TIER_PLAIN_COMPARISONS
NADARAYA_INLINE unsigned above(const PackOf<float>& x, const PackOf<float>& bound) {
  return 0xfu & ~static_cast<unsigned>(_mm_movemask_ps(__m128(maybe_nan(x.v) <= bound.v)));
}
NADARAYA_INLINE unsigned above(const PackOf<double>& x, const PackOf<double>& bound) {
  return 0x3u & ~static_cast<unsigned>(_mm_movemask_pd(__m128d(maybe_nan(x.v) <= bound.v)));
}
#else
NADARAYA_INLINE unsigned above(const PackOf<float>& x, const PackOf<float>& bound) {
  return static_cast<unsigned>(_mm_movemask_ps(_mm_cmpnle_ps(x.v, bound.v)));
}
NADARAYA_INLINE unsigned above(const PackOf<double>& x, const PackOf<double>& bound) {
  return static_cast<unsigned>(_mm_movemask_pd(_mm_cmpnle_pd(x.v, bound.v)));
}
#endif
#elif NADARAYA_TIER_NEON
template <class T>
NADARAYA_INLINE PackOf<T> broadcast(T x) {
  return PackOf<T>(x);
}
NADARAYA_INLINE PackOf<float> fma(const PackOf<float>& a, const PackOf<float>& b, const PackOf<float>& c) {
  return PackOf<float>(typename PackOf<float>::Vector(vfmaq_f32(c.v, a.v, b.v)));
}
NADARAYA_INLINE PackOf<double> fma(const PackOf<double>& a, const PackOf<double>& b, const PackOf<double>& c) {
  return PackOf<double>(typename PackOf<double>::Vector(vfmaq_f64(c.v, a.v, b.v)));
}
NADARAYA_INLINE PackOf<float> sqrt(const PackOf<float>& x) {
  return PackOf<float>(typename PackOf<float>::Vector(vsqrtq_f32(x.v)));
}
NADARAYA_INLINE PackOf<double> sqrt(const PackOf<double>& x) {
  return PackOf<double>(typename PackOf<double>::Vector(vsqrtq_f64(x.v)));
}
NADARAYA_INLINE unsigned above(const PackOf<float>& x, const PackOf<float>& bound) {
  const uint32x4_t bits = {1, 2, 4, 8};
  return vaddvq_u32(vbicq_u32(bits, vcleq_f32(maybe_nan(x.v), bound.v)));
}
NADARAYA_INLINE unsigned above(const PackOf<double>& x, const PackOf<double>& bound) {
  const uint64x2_t bits = {1, 2};
  return static_cast<unsigned>(vaddvq_u64(vbicq_u64(bits, vcleq_f64(maybe_nan(x.v), bound.v))));
}
#else
template <class T>
NADARAYA_INLINE PackOf<T> broadcast(T x) {
  return PackOf<T>(x);
}
template <class T>
NADARAYA_INLINE PackOf<T> fma(const PackOf<T>& a, const PackOf<T>& b, const PackOf<T>& c) {
  return a * b + c;
}
template <class T>
NADARAYA_INLINE PackOf<T> sqrt(const PackOf<T>& x) {
  PackOf<T> root;
  for (std::size_t j = 0; j < PackOf<T>::lanes; ++j) root.v[j] = std::sqrt(x.v[j]);
  return root;
}
template <class T>
NADARAYA_INLINE unsigned above(const PackOf<T>& x, const PackOf<T>& bound) {
  unsigned mask = 0;
  for (unsigned j = 0; j < PackOf<T>::lanes; ++j) mask |= static_cast<unsigned>(!(x.v[j] <= bound.v[j])) << j;
  return mask;
}
#endif

#if NADARAYA_TIER_X86 == 32
NADARAYA_INLINE PackOf<float> larger(const PackOf<float>& a, const PackOf<float>& b) {
  return PackOf<float>(_mm256_max_ps(a.v, b.v));
}
NADARAYA_INLINE PackOf<double> larger(const PackOf<double>& a, const PackOf<double>& b) {
  return PackOf<double>(_mm256_max_pd(a.v, b.v));
}
#else
template <class T>
NADARAYA_INLINE PackOf<T> larger(const PackOf<T>& a, const PackOf<T>& b) {
  return where_less(b, a, a, b);
}
#endif
#if NADARAYA_TIER_X86 == 32

/// The lanes that are set, in order, as a permutation takes them.
NADARAYA_INLINE __m256i set_lanes(unsigned mask) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(simd::lane_lists.of[mask])));
}
/// The same of lanes of eight bytes, as lanes of four.
NADARAYA_INLINE __m256i set_pairs(unsigned mask) {
  constexpr std::uint8_t twice[16] = {0, 3, 12, 15, 48, 51, 60, 63, 192, 195, 204, 207, 240, 243, 252, 255};
  return set_lanes(twice[mask]);
}
NADARAYA_INLINE void compress(float* to, unsigned mask, const PackOf<float>& x) {
  _mm256_storeu_ps(to, _mm256_permutevar8x32_ps(x.v, set_lanes(mask)));
}
NADARAYA_INLINE void compress(double* to, unsigned mask, const PackOf<double>& x) {
  _mm256_storeu_pd(to, _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(x.v), set_pairs(mask))));
}
NADARAYA_INLINE void compress_keys(KeyIndex* to, unsigned mask, const KeyIndex* keys, float) {
  const __m256i k = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(keys));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(k, set_lanes(mask)));
}
NADARAYA_INLINE void compress_keys(KeyIndex* to, unsigned mask, const KeyIndex* keys, double) {
  const __m256i k = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(keys)));
  const __m256i kept = _mm256_permutevar8x32_epi32(k, set_lanes(mask));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(kept));
}
NADARAYA_INLINE void compress_run(KeyIndex* to, unsigned mask, KeyIndex first, float) {
  const __m256i run = _mm256_add_epi32(set_lanes(mask), _mm256_set1_epi32(static_cast<int>(first)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), run);
}
NADARAYA_INLINE void compress_run(KeyIndex* to, unsigned mask, KeyIndex first, double) {
  const __m256i run = _mm256_add_epi32(set_lanes(mask), _mm256_set1_epi32(static_cast<int>(first)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(run));
}

#else

template <class T>
NADARAYA_INLINE void compress(T* to, unsigned mask, const PackOf<T>& x) {
  T all[PackOf<T>::lanes];
  std::memcpy(all, &x.v, bytes);
  for (; mask != 0; mask &= mask - 1) *to++ = all[simd::lowest_one(mask)];
}
template <class T>
NADARAYA_INLINE void compress_keys(KeyIndex* to, unsigned mask, const KeyIndex* keys, T) {
  KeyIndex all[PackOf<T>::lanes];
  std::memcpy(all, keys, sizeof all);
  for (; mask != 0; mask &= mask - 1) *to++ = all[simd::lowest_one(mask)];
}
template <class T>
NADARAYA_INLINE void compress_run(KeyIndex* to, unsigned mask, KeyIndex first, T) {
  for (; mask != 0; mask &= mask - 1) *to++ = first + static_cast<KeyIndex>(simd::lowest_one(mask));
}

#endif

#endif

/// The first n < lanes scalars, zero behind them.
template <class T>
NADARAYA_INLINE PackOf<T> load_part(const T* from, Index n) {
  return load_part(from, n, PackOf<T>(T(0)));
}

/// x where t is above the bound or NaN, 0 elsewhere.
template <class T>
NADARAYA_INLINE PackOf<T> where_above(const PackOf<T>& t, const PackOf<T>& bound, const PackOf<T>& x) {
  return where_at_most(t, bound, PackOf<T>(T(0)), x);
}

/// The first `count` lanes of x, zero behind them.
template <class T>
NADARAYA_INLINE PackOf<T> first_lanes(const PackOf<T>& x, Index count) {
  T all[PackOf<T>::lanes];
  std::memcpy(all, &x.v, bytes);
  return load_part(all, count);
}

/// Sum of the lanes, halves first.
#if NADARAYA_TIER_X86 >= 32
NADARAYA_INLINE float total_of_half(__m256 x) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return nadaraya::detail::maybe_nan(_mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two))));
}
NADARAYA_INLINE double total_of_half(__m256d x) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
  return nadaraya::detail::maybe_nan(_mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two))));
}
#endif
#if NADARAYA_TIER_X86 == 64
NADARAYA_INLINE float total(const PackOf<float>& x) {
  return total_of_half(_mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, x.v, 0), _mm512_maskz_extractf32x8_ps(0xff, x.v, 1)));
}
NADARAYA_INLINE double total(const PackOf<double>& x) {
  return total_of_half(_mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xff, x.v, 0), _mm512_maskz_extractf64x4_pd(0xff, x.v, 1)));
}
#elif NADARAYA_TIER_X86 == 32
template <class T>
NADARAYA_INLINE T total(const PackOf<T>& x) {
  return total_of_half(x.v);
}
#else
template <class T>
NADARAYA_INLINE T total(const PackOf<T>& x) {
  T all[PackOf<T>::lanes];
  std::memcpy(all, &x.v, bytes);
#pragma GCC unroll 8
  for (std::size_t half = PackOf<T>::lanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < half; ++j) all[j] += all[j + half];
  }
  return all[0];
}
#endif

/// The sum of the lanes, in double.
NADARAYA_INLINE double wide_total(const PackOf<double>& x) { return total(x); }
#if NADARAYA_TIER_X86 == 64
NADARAYA_INLINE double wide_total(const PackOf<float>& x) {
  return total(PackOf<double>(_mm512_add_pd(_mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, x.v, 0)),
                                            _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, x.v, 1)))));
}
#elif NADARAYA_TIER_X86 == 32
NADARAYA_INLINE double wide_total(const PackOf<float>& x) {
  return total(PackOf<double>(
      _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x.v)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1)))));
}
#else
NADARAYA_INLINE double wide_total(const PackOf<float>& x) {
  float all[PackOf<float>::lanes];
  std::memcpy(all, &x.v, bytes);
  double sum = 0;
  for (const float lane : all) sum += static_cast<double>(lane);
  return sum;
}
#endif

/// Writes the sums of the lanes of four packs.
#if NADARAYA_TIER_X86 == 64
NADARAYA_INLINE void totals_of(const PackOf<float> (&x)[4], float* to) {
  // Pairs of lanes, then fours, from two packs each; then the four of every quarter.
  const __m512 first = _mm512_add_ps(_mm512_maskz_unpacklo_ps(0xffff, x[0].v, x[1].v), _mm512_maskz_unpackhi_ps(0xffff, x[0].v, x[1].v));
  const __m512 second = _mm512_add_ps(_mm512_maskz_unpacklo_ps(0xffff, x[2].v, x[3].v), _mm512_maskz_unpackhi_ps(0xffff, x[2].v, x[3].v));
  const __m512 all = _mm512_add_ps(_mm512_maskz_shuffle_ps(0xffff, first, second, 0x44), _mm512_maskz_shuffle_ps(0xffff, first, second, 0xee));
  const __m256 half = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, all, 0), _mm512_maskz_extractf32x8_ps(0xff, all, 1));
  _mm_storeu_ps(to, maybe_nan(_mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1))));
}
#elif NADARAYA_TIER_X86 == 32
NADARAYA_INLINE void totals_of(const PackOf<float> (&x)[4], float* to) {
  const __m256 first = _mm256_add_ps(_mm256_unpacklo_ps(x[0].v, x[1].v), _mm256_unpackhi_ps(x[0].v, x[1].v));
  const __m256 second = _mm256_add_ps(_mm256_unpacklo_ps(x[2].v, x[3].v), _mm256_unpackhi_ps(x[2].v, x[3].v));
  const __m256 all = _mm256_add_ps(_mm256_shuffle_ps(first, second, 0x44), _mm256_shuffle_ps(first, second, 0xee));
  _mm_storeu_ps(to, maybe_nan(_mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1))));
}
#endif
template <class T>
NADARAYA_INLINE void totals_of(const PackOf<T> (&x)[4], T* to) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) to[i] = total(x[i]);
}

/// The sum of the lanes of one pack, with the bits that totals_of gives.
#if NADARAYA_TIER_X86 == 64
NADARAYA_INLINE float total_as_of_four(const PackOf<float>& x) {
  const __m512 pairs = _mm512_add_ps(x.v, _mm512_maskz_shuffle_ps(0xffff, x.v, x.v, 0x4e));
  const __m512 fours = _mm512_add_ps(pairs, _mm512_maskz_shuffle_ps(0xffff, pairs, pairs, 0xb1));
  const __m256 half = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, fours, 0), _mm512_maskz_extractf32x8_ps(0xff, fours, 1));
  return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}
#elif NADARAYA_TIER_X86 == 32
NADARAYA_INLINE float total_as_of_four(const PackOf<float>& x) {
  const __m256 pairs = _mm256_add_ps(x.v, _mm256_shuffle_ps(x.v, x.v, 0x4e));
  const __m256 fours = _mm256_add_ps(pairs, _mm256_shuffle_ps(pairs, pairs, 0xb1));
  return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1)));
}
#endif
template <class T>
NADARAYA_INLINE T total_as_of_four(const PackOf<T>& x) {
  return total(x);
}

/// The largest of the lanes. NaN may vanish.
#if NADARAYA_TIER_X86 >= 32
NADARAYA_INLINE float largest_of_half(__m256 x) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
NADARAYA_INLINE double largest_of_half(__m256d x) {
  const __m128d two = _mm_max_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
  return _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
}
#endif
#if NADARAYA_TIER_X86 == 64
NADARAYA_INLINE float largest_lane(const PackOf<float>& x) {
  return largest_of_half(_mm256_max_ps(_mm512_maskz_extractf32x8_ps(0xff, x.v, 0), _mm512_maskz_extractf32x8_ps(0xff, x.v, 1)));
}
NADARAYA_INLINE double largest_lane(const PackOf<double>& x) {
  return largest_of_half(_mm256_max_pd(_mm512_maskz_extractf64x4_pd(0xff, x.v, 0), _mm512_maskz_extractf64x4_pd(0xff, x.v, 1)));
}
#elif NADARAYA_TIER_X86 == 32
template <class T>
NADARAYA_INLINE T largest_lane(const PackOf<T>& x) {
  return largest_of_half(x.v);
}
#else
template <class T>
NADARAYA_INLINE T largest_lane(const PackOf<T>& x) {
  T all[PackOf<T>::lanes];
  std::memcpy(all, &x.v, bytes);
#pragma GCC unroll 8
  for (std::size_t half = PackOf<T>::lanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < half; ++j) all[j] = all[j] > all[j + half] ? all[j] : all[j + half];
  }
  return all[0];
}
#endif

#undef NADARAYA_TIER_PLAIN_COMPARISONS
#undef NADARAYA_TIER_X86
#undef NADARAYA_TIER_NEON
