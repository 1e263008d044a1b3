// Operations of packs without named instructions: for lanes in arrays, and wherever an instruction set has no overload of
// its own. Included by tier.ipp.

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
/// Bit j: is lane j above the bound, or NaN?
template <class T>
NADARAYA_INLINE unsigned above(const PackOf<T>& x, const PackOf<T>& bound) {
  unsigned mask = 0;
  for (unsigned j = 0; j < PackOf<T>::lanes; ++j) mask |= static_cast<unsigned>(!(x.v[j] <= bound.v[j])) << j;
  return mask;
}
/// The larger, lane by lane. NaN in either may vanish.
template <class T>
NADARAYA_INLINE PackOf<T> larger(const PackOf<T>& a, const PackOf<T>& b) {
  return where_less(b, a, a, b);
}

/// Writes the lanes whose bit is set next to each other; may write a whole pack.
template <class T>
NADARAYA_INLINE void compress(T* to, unsigned mask, const PackOf<T>& x) {
  T all[PackOf<T>::lanes];
  std::memcpy(all, &x.v, bytes);
  for (; mask != 0; mask &= mask - 1) *to++ = all[simd::lowest_one(mask)];
}
/// The same for the keys of as many lanes.
template <class T>
NADARAYA_INLINE void compress_keys(KeyIndex* to, unsigned mask, const KeyIndex* keys, T) {
  KeyIndex all[PackOf<T>::lanes];
  std::memcpy(all, keys, sizeof all);
  for (; mask != 0; mask &= mask - 1) *to++ = all[simd::lowest_one(mask)];
}
/// The same for the keys first, first + 1, ...
template <class T>
NADARAYA_INLINE void compress_run(KeyIndex* to, unsigned mask, KeyIndex first, T) {
  for (; mask != 0; mask &= mask - 1) *to++ = first + static_cast<KeyIndex>(simd::lowest_one(mask));
}

/// Sum of the lanes, halves first.
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

/// The largest of the lanes. NaN may vanish.
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
