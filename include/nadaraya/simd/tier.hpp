// Which vector instructions this machine has, found once at run time.
#pragma once

#include "nadaraya/simd/compiler.hpp"

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

/// Can this machine run them? For AMX, Linux is asked for leave, once for the whole process: alternate signal stacks must
/// then have room for the tiles, 8 KiB more than before.
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
/// avx_vnni, avx512_vnni, avx512_vbmi2, amx) if it has them. Decided at the first call.
inline Integers integers() {
  static const Integers chosen = [] {
    const char* wanted = std::getenv("NADARAYA_INTEGERS");
    Integers best = Integers::plain;
    for (const Integers candidate : {Integers::plain, Integers::avx2, Integers::avx_vnni, Integers::avx512_vnni,
                                     Integers::avx512_vbmi2, Integers::amx}) {
      if (tier() < tier_of(candidate) || !runs(candidate)) continue;
      best = candidate;
      if (wanted != nullptr && std::strcmp(wanted, name(candidate)) == 0) break;
    }
    return best;
  }();
  return chosen;
}

}  // namespace nadaraya::simd
