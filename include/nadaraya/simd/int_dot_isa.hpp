// Which instructions this machine has for sums of products of small whole numbers, found once at run time.
#pragma once

#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/simd/tier.hpp"

#include <cstring>

#if NADARAYA_HAS_AVX
#include <cpuid.h>
#if NADARAYA_HAS_AMX && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::simd {

/// Ascending: what a tier has for sums of products of small whole numbers. AVX2 multiplies words of 16 bits;
/// AVX-VNNI and AVX-512 VNNI multiply bytes, in registers of 32 and 64; with AVX-512 VBMI2 bytes are also picked out of
/// a register at once; AMX multiplies tiles of bytes.
enum class IntDotIsa { plain, avx2, avx_vnni, avx512_vnni, avx512_vbmi2, amx };

inline const char* name(IntDotIsa isa) {
  constexpr const char* names[] = {"plain", "avx2", "avx_vnni", "avx512_vnni", "avx512_vbmi2", "amx"};
  return names[static_cast<int>(isa)];
}

/// The tier that they belong to.
inline Tier tier_of(IntDotIsa isa) {
  if (isa == IntDotIsa::plain) return Tier::baseline;
  return isa < IntDotIsa::avx512_vnni ? Tier::avx2 : Tier::avx512;
}

/// Can this machine run them? For AMX, Linux is asked for leave; see int_dot_isa().
inline bool runs(IntDotIsa isa) {
#if NADARAYA_HAS_AVX
  if (!runs(tier_of(isa))) return false;
  [[maybe_unused]] const auto cpuid_7 = [](unsigned leaf, unsigned which) {
    unsigned of[4] = {};
    return __get_cpuid_count(7, leaf, &of[0], &of[1], &of[2], &of[3]) != 0 ? of[which] : 0u;
  };
  switch (isa) {
    case IntDotIsa::amx:
#if NADARAYA_HAS_AMX && defined(__linux__)
      // AMX-TILE and AMX-INT8; ARCH_REQ_XCOMP_PERM for the data of tiles.
      return (cpuid_7(0, 3) >> 24 & 3) == 3 && runs(IntDotIsa::avx512_vbmi2) && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
      return false;
#endif
    case IntDotIsa::avx512_vbmi2:
      return __builtin_cpu_supports("avx512vbmi2") != 0 && runs(IntDotIsa::avx512_vnni);
    case IntDotIsa::avx512_vnni:
      return __builtin_cpu_supports("avx512vnni") != 0;
    case IntDotIsa::avx_vnni:
      return (cpuid_7(1, 0) >> 4 & 1) != 0;
    default:
      return true;
  }
#else
  return isa == IntDotIsa::plain;
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
inline IntDotIsa int_dot_isa() {
  static const IntDotIsa chosen = [] {
    const char* wanted = wish("NADARAYA_INTEGERS");
    constexpr IntDotIsa all[] = {IntDotIsa::plain,       IntDotIsa::avx2,         IntDotIsa::avx_vnni,
                                IntDotIsa::avx512_vnni, IntDotIsa::avx512_vbmi2, IntDotIsa::amx};
    IntDotIsa best = IntDotIsa::plain;
    for (const IntDotIsa candidate : all) {
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
