// Which vector instructions this machine has, found once at run time.
#pragma once

#include "nadaraya/simd/compiler.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "nadaraya/detail/precise.hpp"

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

/// The value of an environment variable, null if it is not set or empty.
inline const char* wish(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

/// Says on the standard error that a wish is not met: because it is none of the allowed values, or for lack of what it names.
template <class Choice, class Choices>
void report_unmet(const char* variable, const char* wanted, const Choices& allowed, Choice chosen) {
  if (wanted == nullptr || std::strcmp(wanted, name(chosen)) == 0) return;
  for (const Choice one : allowed) {
    if (std::strcmp(wanted, name(one)) != 0) continue;
    std::fprintf(stderr, "nadaraya: %s=%s is not to be had on this machine or in its tier; using %s\n", variable, wanted, name(chosen));
    return;
  }
  std::fprintf(stderr, "nadaraya: %s=%s is ignored, using %s; allowed are", variable, wanted, name(chosen));
  for (const Choice one : allowed) std::fprintf(stderr, " %s", name(one));
  std::fprintf(stderr, "\n");
}

/// The best tier the machine runs, or the one that the environment variable NADARAYA_TIER names
/// (baseline, avx2, avx512) if the machine runs it. Decided at the first call, which says once on the
/// standard error if the variable names another, or one that the machine lacks.
inline Tier tier() {
  static const Tier chosen = [] {
    const char* wanted = wish("NADARAYA_TIER");
    constexpr Tier all[] = {Tier::baseline, Tier::avx2, Tier::avx512};
    Tier best = Tier::baseline;
    for (const Tier candidate : all) {
      if (!runs(candidate)) continue;
      best = candidate;
      if (wanted != nullptr && std::strcmp(wanted, name(candidate)) == 0) break;
    }
    report_unmet("NADARAYA_TIER", wanted, all, best);
    return best;
  }();
  return chosen;
}

}  // namespace nadaraya::simd

#include "nadaraya/detail/end_precise.hpp"
