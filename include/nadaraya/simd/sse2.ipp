// SSE2: 16 bytes. Included by tier.ipp.

NADARAYA_INLINE PackOf<float> broadcast(float x) { return PackOf<float>(_mm_set1_ps(x)); }
NADARAYA_INLINE PackOf<double> broadcast(double x) { return PackOf<double>(_mm_set1_pd(x)); }
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
