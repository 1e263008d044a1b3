// Does this machine multiply tiles of bfloat16 (AMX-BF16)?
#pragma once

#include "nadaraya/simd/compiler.hpp"
#include "nadaraya/simd/int_dot_isa.hpp"

#if NADARAYA_HAS_AMX
#include <cpuid.h>
#endif

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::simd {

/// True if it does, and tiles are in use at all: int_dot_isa() says how Linux is asked for them, and how a program
/// prevents it. Decided at the first call.
inline bool has_bfloat16_tiles() {
#if NADARAYA_HAS_AMX
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) != 0 && int_dot_isa() == IntDotIsa::amx;
  }();
  return has;
#else
  return false;
#endif
}

}  // namespace nadaraya::simd

#include "nadaraya/detail/end_precise.hpp"
