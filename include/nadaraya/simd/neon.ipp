// NEON: 16 bytes. Included by tier.ipp.

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
