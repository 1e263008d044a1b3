// AVX-512: 64 bytes. Included by tier.ipp.

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
NADARAYA_INLINE PackOf<double> load_widened(const float* from) {
  return PackOf<double>(_mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(from)));
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
/// x where t is above the edge or NaN, and zero elsewhere. By masks: of wide vectors compared and chosen from by operators, g++ 13
/// makes an internal error in some functions.
NADARAYA_INLINE PackOf<float> where_above(const PackOf<float>& t, const PackOf<float>& edge, const PackOf<float>& x) {
  return PackOf<float>(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(t.v, edge.v, _CMP_NLE_UQ), x.v));
}
NADARAYA_INLINE PackOf<double> where_above(const PackOf<double>& t, const PackOf<double>& edge, const PackOf<double>& x) {
  return PackOf<double>(_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(t.v, edge.v, _CMP_NLE_UQ), x.v));
}
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

NADARAYA_INLINE float total(const PackOf<float>& x) {
  return total_of_half(_mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, x.v, 0), _mm512_maskz_extractf32x8_ps(0xff, x.v, 1)));
}
NADARAYA_INLINE double total(const PackOf<double>& x) {
  return total_of_half(_mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xff, x.v, 0), _mm512_maskz_extractf64x4_pd(0xff, x.v, 1)));
}
NADARAYA_INLINE double wide_total(const PackOf<float>& x) {
  return total(PackOf<double>(_mm512_add_pd(_mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, x.v, 0)),
                                            _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, x.v, 1)))));
}
NADARAYA_INLINE void totals_of(const PackOf<float> (&x)[4], float* to) {
  // Pairs of lanes, then fours, from two packs each; then the four of every quarter.
  const __m512 first = _mm512_add_ps(_mm512_maskz_unpacklo_ps(0xffff, x[0].v, x[1].v), _mm512_maskz_unpackhi_ps(0xffff, x[0].v, x[1].v));
  const __m512 second = _mm512_add_ps(_mm512_maskz_unpacklo_ps(0xffff, x[2].v, x[3].v), _mm512_maskz_unpackhi_ps(0xffff, x[2].v, x[3].v));
  const __m512 all = _mm512_add_ps(_mm512_maskz_shuffle_ps(0xffff, first, second, 0x44), _mm512_maskz_shuffle_ps(0xffff, first, second, 0xee));
  const __m256 half = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, all, 0), _mm512_maskz_extractf32x8_ps(0xff, all, 1));
  _mm_storeu_ps(to, maybe_nan(_mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1))));
}
NADARAYA_INLINE float total_as_of_four(const PackOf<float>& x) {
  const __m512 pairs = _mm512_add_ps(x.v, _mm512_maskz_shuffle_ps(0xffff, x.v, x.v, 0x4e));
  const __m512 fours = _mm512_add_ps(pairs, _mm512_maskz_shuffle_ps(0xffff, pairs, pairs, 0xb1));
  const __m256 half = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, fours, 0), _mm512_maskz_extractf32x8_ps(0xff, fours, 1));
  return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}
NADARAYA_INLINE float largest_lane(const PackOf<float>& x) {
  return largest_of_half(_mm256_max_ps(_mm512_maskz_extractf32x8_ps(0xff, x.v, 0), _mm512_maskz_extractf32x8_ps(0xff, x.v, 1)));
}
NADARAYA_INLINE double largest_lane(const PackOf<double>& x) {
  return largest_of_half(_mm256_max_pd(_mm512_maskz_extractf64x4_pd(0xff, x.v, 0), _mm512_maskz_extractf64x4_pd(0xff, x.v, 1)));
}
