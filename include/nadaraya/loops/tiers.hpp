// The loops of loops/loops.ipp, compiled once for each vector tier, and the choice between them.
#pragma once

#include "nadaraya/detail/maybe_nan.hpp"
#include "nadaraya/kernel/kernel.hpp"
#include "nadaraya/loops/operands.hpp"
#include "nadaraya/loops/portable.hpp"
#include "nadaraya/loops/row_normalizer.hpp"
#include "nadaraya/loops/table.hpp"
#include "nadaraya/simd/bits.hpp"
#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/simd/math.hpp"
#include "nadaraya/simd/pack.hpp"
#include "nadaraya/simd/prefetch.hpp"
#include "nadaraya/simd/tier.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if NADARAYA_HAS_AVX
#include <immintrin.h>
#elif NADARAYA_HAS_VECTORS && defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::engine {

using simd::Pack;

/// Is the width 2^k, so that multiplying by its inverse is dividing? NaN, 0 and infinity are not.
inline bool is_power_of_two(float width) {
  std::uint32_t bits;
  std::memcpy(&bits, &width, sizeof bits);
  return (bits & 0x7fffffu) == 0 && width > 1e-30f && width < 1e30f;
}
inline bool is_power_of_two(double width) {
  std::uint64_t bits;
  std::memcpy(&bits, &width, sizeof bits);
  return (bits & 0xfffffffffffffu) == 0 && width > 1e-300 && width < 1e300;
}

#define NADARAYA_TIER_BYTES 16
namespace baseline {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace baseline
#undef NADARAYA_TIER_BYTES

#if NADARAYA_HAS_AVX

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx,avx2,fma,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx,avx2,fma,bmi,bmi2,popcnt")
#endif
#define NADARAYA_TIER_BYTES 32
namespace avx2 {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace avx2
#undef NADARAYA_TIER_BYTES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx,avx2,fma,bmi,bmi2,popcnt,avx512f,avx512vl,avx512dq,avx512bw")
#endif
#define NADARAYA_TIER_BYTES 64
namespace avx512 {
#include "nadaraya/simd/tier.ipp"
#include "nadaraya/loops/loops.ipp"
}  // namespace avx512
#undef NADARAYA_TIER_BYTES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

/// work(loops) with the loops of this machine's tier.
template <class Work>
decltype(auto) with_tier(const Work& work) {
#if NADARAYA_HAS_AVX
  if (simd::tier() == simd::Tier::avx512) return work(avx512::Loops{});
  if (simd::tier() == simd::Tier::avx2) return work(avx2::Loops{});
#endif
  return work(baseline::Loops{});
}

template <class Scalar, template <class> class Table>
const Table<Scalar>& chosen_loops() {
  return *with_tier([](auto tier) { return &tier.template table<Table<Scalar>>(); });
}

/// The coordinate at and below which a kernel is zero; unused where it is nowhere.
template <class Scalar, Kernel K>
Scalar edge_of(const K& kernel) {
  if constexpr (CompactKernel<K>) {
    return Scalar(edge(kernel));
  } else {
    return Scalar(0);
  }
}

/// work(loops) with the loops that call a kernel K: those of this machine's tier for an elementwise kernel, or Portable.
template <class K, class Scalar, class Work>
auto with_kernel_loops(const Work& work) {
  if constexpr (ElementwiseKernel<K> && vectorized<Scalar>) {
    return with_tier(work);
  } else {
    return work(Portable{});
  }
}

}  // namespace nadaraya::engine

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "nadaraya/detail/end_precise.hpp"
