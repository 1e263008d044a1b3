// Included once for each tier, inside its namespace and its target region: packs of the tier's width and their
// operations. NADARAYA_TIER_BYTES is the width. NADARAYA_TIER_ARRAYS, if defined, asks for lanes in arrays, with which any
// width runs anywhere. The templates of plain.ipp are for any type; overloads for float and double name instructions.

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

#include "nadaraya/simd/plain.ipp"
#if NADARAYA_TIER_X86 >= 32
#include "nadaraya/simd/halves.ipp"
#endif
#if NADARAYA_TIER_X86 == 64
#include "nadaraya/simd/avx512.ipp"
#elif NADARAYA_TIER_X86 == 32
#include "nadaraya/simd/avx2.ipp"
#elif NADARAYA_TIER_X86 == 16
#include "nadaraya/simd/sse2.ipp"
#elif NADARAYA_TIER_NEON
#include "nadaraya/simd/neon.ipp"
#endif

/// The first n < lanes scalars, zero behind them.
template <class T>
NADARAYA_INLINE PackOf<T> load_part(const T* from, Index n) {
  return load_part(from, n, PackOf<T>(T(0)));
}

/// As many scalars as doubles make a pack, in double.
template <class T>
NADARAYA_INLINE PackOf<double> load_widened(const T* from) {
#if NADARAYA_HAS_VECTORS && !defined(NADARAYA_TIER_ARRAYS)
  typedef T Narrow __attribute__((vector_size(sizeof(T) * lanes<double>)));
  Narrow numbers;
  std::memcpy(&numbers, from, sizeof numbers);
  return PackOf<double>(__builtin_convertvector(numbers, typename PackOf<double>::Vector));
#else
  double numbers[lanes<double>];
  for (Index j = 0; j < lanes<double>; ++j) numbers[j] = static_cast<double>(from[j]);
  return load(numbers);
#endif
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

/// The sum of the lanes, in double.
NADARAYA_INLINE double wide_total(const PackOf<double>& x) { return total(x); }
template <class T>
NADARAYA_INLINE double wide_total(const PackOf<T>& x) {
  T all[PackOf<T>::lanes];
  std::memcpy(all, &x.v, bytes);
  double sum = 0;
  for (const T lane : all) sum += static_cast<double>(lane);
  return sum;
}

/// Writes the sums of the lanes of four packs.
template <class T>
NADARAYA_INLINE void totals_of(const PackOf<T> (&x)[4], T* to) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) to[i] = total(x[i]);
}

/// The sum of the lanes of one pack, with the bits that totals_of gives.
template <class T>
NADARAYA_INLINE T total_as_of_four(const PackOf<T>& x) {
  return total(x);
}

#undef NADARAYA_TIER_PLAIN_COMPARISONS
#undef NADARAYA_TIER_X86
#undef NADARAYA_TIER_NEON
