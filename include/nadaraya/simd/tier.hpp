// Which vector instructions this machine has, found once at run time.
#pragma once

#include "nadaraya/simd/compiler.hpp"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace nadaraya::simd {

/// Ascending. `baseline` is what every machine of the architecture has: SSE2 on x86-64, NEON on
/// 64-bit ARM, plain arithmetic elsewhere.
enum class Tier { baseline, avx2, avx512 };

inline const char* name(Tier tier) {
  switch (tier) {
    case Tier::avx512:
      return "avx512";
    case Tier::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

/// Can this machine, its operating system included, run the tier? No more than the baseline where
/// the compiler cannot make code for it.
inline bool runs(Tier tier) {
#if NADARAYA_HAS_AVX
  switch (tier) {
    case Tier::avx512:
      return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
             __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512bw") != 0 && runs(Tier::avx2);
    case Tier::avx2:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    default:
      return true;
  }
#else
  return tier == Tier::baseline;
#endif
}

/// The best tier the machine runs, or the one that the environment variable NADARAYA_TIER names
/// (baseline, avx2, avx512) if the machine runs it. Decided at the first call.
inline Tier tier() {
  static const Tier chosen = [] {
    const char* wanted = std::getenv("NADARAYA_TIER");
    Tier best = Tier::baseline;
    for (const Tier candidate : {Tier::baseline, Tier::avx2, Tier::avx512}) {
      if (!runs(candidate)) continue;
      best = candidate;
      if (wanted != nullptr && std::strcmp(wanted, name(candidate)) == 0) break;
    }
    return best;
  }();
  return chosen;
}

/// Has the chosen tier instructions for products of bytes (AVX-512 VNNI)?
inline bool multiplies_bytes() {
#if NADARAYA_HAS_AVX
  static const bool found = tier() == Tier::avx512 && __builtin_cpu_supports("avx512vnni") != 0;
  return found;
#else
  return false;
#endif
}

}  // namespace nadaraya::simd
