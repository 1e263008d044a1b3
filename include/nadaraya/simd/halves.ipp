// Sums and maxima over 32 bytes, for AVX2 and for the halves of AVX-512. Included by tier.ipp.

NADARAYA_INLINE float total_of_half(__m256 x) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return nadaraya::detail::maybe_nan(_mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two))));
}
NADARAYA_INLINE double total_of_half(__m256d x) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
  return nadaraya::detail::maybe_nan(_mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two))));
}
NADARAYA_INLINE float largest_of_half(__m256 x) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
NADARAYA_INLINE double largest_of_half(__m256d x) {
  const __m128d two = _mm_max_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
  return _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
}
