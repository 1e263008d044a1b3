// Which vector instructions this machine has, found once at run time.
#pragma once

#include "nadaraya/simd/compiler.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#if NADARAYA_HAS_AVX
#include <cpuid.h>
#if NADARAYA_HAS_AMX && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

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

/// Ascending: what a tier has for sums of products of small whole numbers. AVX2 multiplies words of 16 bits;
/// AVX-VNNI and AVX-512 VNNI multiply bytes, in registers of 32 and 64; with AVX-512 VBMI2 bytes are also picked out of
/// a register at once; AMX multiplies tiles of bytes.
enum class Integers { plain, avx2, avx_vnni, avx512_vnni, avx512_vbmi2, amx };

inline const char* name(Integers integers) {
  constexpr const char* names[] = {"plain", "avx2", "avx_vnni", "avx512_vnni", "avx512_vbmi2", "amx"};
  return names[static_cast<int>(integers)];
}

/// The tier that they belong to.
inline Tier tier_of(Integers integers) {
  if (integers == Integers::plain) return Tier::baseline;
  return integers < Integers::avx512_vnni ? Tier::avx2 : Tier::avx512;
}

/// Can this machine run them? For AMX, Linux is asked for leave; see integers().
inline bool runs(Integers integers) {
#if NADARAYA_HAS_AVX
  if (!runs(tier_of(integers))) return false;
  [[maybe_unused]] const auto cpuid_7 = [](unsigned leaf, unsigned which) {
    unsigned of[4] = {};
    return __get_cpuid_count(7, leaf, &of[0], &of[1], &of[2], &of[3]) != 0 ? of[which] : 0u;
  };
  switch (integers) {
    case Integers::amx:
#if NADARAYA_HAS_AMX && defined(__linux__)
      // AMX-TILE and AMX-INT8; ARCH_REQ_XCOMP_PERM for the data of tiles.
      return (cpuid_7(0, 3) >> 24 & 3) == 3 && runs(Integers::avx512_vbmi2) && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
      return false;
#endif
    case Integers::avx512_vbmi2:
      return __builtin_cpu_supports("avx512vbmi2") != 0 && runs(Integers::avx512_vnni);
    case Integers::avx512_vnni:
      return __builtin_cpu_supports("avx512vnni") != 0;
    case Integers::avx_vnni:
      return (cpuid_7(1, 0) >> 4 & 1) != 0;
    default:
      return true;
  }
#else
  return integers == Integers::plain;
#endif
}

/// The best that the chosen tier has, or those that the environment variable NADARAYA_INTEGERS names (plain, avx2,
/// avx_vnni, avx512_vnni, avx512_vbmi2, amx) if it has them. Decided at the first call, which says once on the standard
/// error if the variable names others, or such as the tier or the machine lacks.
///
/// AMX is the kernel's to give: the first call on a machine that has it asks Linux for its registers (arch_prctl,
/// ARCH_REQ_XCOMP_PERM), for all threads of the process and for good. From then on sigaltstack refuses alternate signal
/// stacks that are smaller than a signal frame with tiles (8 KiB more; getauxval(AT_MINSIGSTKSZ) says how much), and the
/// request itself fails, and AMX is not used, if a thread has such a stack already. A program that wants none of this
/// sets NADARAYA_INTEGERS=avx512_vbmi2, or any other below amx: then it is not asked for.
inline Integers integers() {
  static const Integers chosen = [] {
    const char* wanted = wish("NADARAYA_INTEGERS");
    constexpr Integers all[] = {Integers::plain,       Integers::avx2,         Integers::avx_vnni,
                                Integers::avx512_vnni, Integers::avx512_vbmi2, Integers::amx};
    Integers best = Integers::plain;
    for (const Integers candidate : all) {
      if (tier() < tier_of(candidate) || !runs(candidate)) continue;
      best = candidate;
      if (wanted != nullptr && std::strcmp(wanted, name(candidate)) == 0) break;
    }
    report_unmet("NADARAYA_INTEGERS", wanted, all, best);
    return best;
  }();
  return chosen;
}

}  // namespace nadaraya::simd

#include "nadaraya/detail/end_precise.hpp"
