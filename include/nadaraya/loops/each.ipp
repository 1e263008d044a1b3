// The packs of a run of scalars, its last one in part. Included once for each tier, as loops.ipp says.

/// The first `count` scalars, zero behind them.
template <class T>
NADARAYA_INLINE PackOf<T> load_up_to(const T* from, Index count) {
  return count >= lanes<T> ? load(from) : load_part(from, count);
}
template <class T>
NADARAYA_INLINE void store_up_to(T* to, const PackOf<T>& x, Index count) {
  if (count >= lanes<T>) {
    store(to, x);
  } else {
    store_part(to, x, count);
  }
}

/// A bit for each of the first `count` lanes.
template <class T>
NADARAYA_INLINE unsigned present(Index count) {
  return count >= lanes<T> ? (1u << lanes<T>) - 1u : (1u << count) - 1u;
}

/// body(j, count) for every pack of a run of n scalars: j its first, count = lanes, or less for
/// the last.
template <class T, class Body>
NADARAYA_INLINE void each(Index n, const Body& body) {
  Index j = 0;
  for (; j + lanes<T> <= n; j += lanes<T>) body(j, lanes<T>);
  if (j < n) body(j, n - j);
}

/// Packs per run that is summed in T; with the runs summed in double, the error does not grow with n.
inline constexpr int run_packs = 32;

/// body(begin, length) for runs of n scalars.
template <class T, class Body>
NADARAYA_INLINE void in_runs(Index n, const Body& body) {
  constexpr Index run = run_packs * lanes<T>;
  for (Index begin = 0; begin < n; begin += run) body(begin, run < n - begin ? run : n - begin);
}

/// Prefetches n scalars.
template <class T>
NADARAYA_INLINE void fetch(const T* x, Index n) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  for (Index c = 0; c < n; c += line) simd::prefetch(x + c);
}
