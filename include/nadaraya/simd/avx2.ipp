// AVX2: 32 bytes. Included by tier.ipp.

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
NADARAYA_INLINE PackOf<float> larger(const PackOf<float>& a, const PackOf<float>& b) {
  return PackOf<float>(_mm256_max_ps(a.v, b.v));
}
NADARAYA_INLINE PackOf<double> larger(const PackOf<double>& a, const PackOf<double>& b) {
  return PackOf<double>(_mm256_max_pd(a.v, b.v));
}
/// e^x as by simd::exp. NaN stays: of two numbers that cannot be compared, the instructions choose the second.
NADARAYA_INLINE PackOf<float> exp(const PackOf<float>& x) {
  const PackOf<float> low(simd::ExpConstants<float>::lowest), high(simd::ExpConstants<float>::highest);
  return simd::exp_between(PackOf<float>(_mm256_min_ps(high.v, _mm256_max_ps(low.v, x.v))));
}
NADARAYA_INLINE PackOf<double> exp(const PackOf<double>& x) {
  const PackOf<double> low(simd::ExpConstants<double>::lowest), high(simd::ExpConstants<double>::highest);
  return simd::exp_between(PackOf<double>(_mm256_min_pd(high.v, _mm256_max_pd(low.v, x.v))));
}

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

NADARAYA_INLINE float total(const PackOf<float>& x) { return total_of_half(x.v); }
NADARAYA_INLINE double total(const PackOf<double>& x) { return total_of_half(x.v); }
NADARAYA_INLINE double wide_total(const PackOf<float>& x) {
  return total(PackOf<double>(
      _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x.v)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.v, 1)))));
}
NADARAYA_INLINE void totals_of(const PackOf<float> (&x)[4], float* to) {
  const __m256 first = _mm256_add_ps(_mm256_unpacklo_ps(x[0].v, x[1].v), _mm256_unpackhi_ps(x[0].v, x[1].v));
  const __m256 second = _mm256_add_ps(_mm256_unpacklo_ps(x[2].v, x[3].v), _mm256_unpackhi_ps(x[2].v, x[3].v));
  const __m256 all = _mm256_add_ps(_mm256_shuffle_ps(first, second, 0x44), _mm256_shuffle_ps(first, second, 0xee));
  _mm_storeu_ps(to, maybe_nan(_mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1))));
}
NADARAYA_INLINE float total_as_of_four(const PackOf<float>& x) {
  const __m256 pairs = _mm256_add_ps(x.v, _mm256_shuffle_ps(x.v, x.v, 0x4e));
  const __m256 fours = _mm256_add_ps(pairs, _mm256_shuffle_ps(pairs, pairs, 0xb1));
  return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1)));
}
NADARAYA_INLINE float largest_lane(const PackOf<float>& x) { return largest_of_half(x.v); }
NADARAYA_INLINE double largest_lane(const PackOf<double>& x) { return largest_of_half(x.v); }
