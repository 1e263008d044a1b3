// Regions of code for processors with more instructions than the rest of the program is compiled for.
#pragma once

#include "nadaraya/simd/compiler.hpp"

#if NADARAYA_HAS_AVX

#define NADARAYA_PRAGMA(text) _Pragma(#text)

/// The functions up to NADARAYA_END_TARGET may use these instructions: a string literal, names separated by commas.
#if defined(__clang__)
#define NADARAYA_TARGET(names) NADARAYA_PRAGMA(clang attribute push(__attribute__((target(names))), apply_to = function))
#define NADARAYA_END_TARGET NADARAYA_PRAGMA(clang attribute pop)
#else
#define NADARAYA_TARGET(names) NADARAYA_PRAGMA(GCC push_options) NADARAYA_PRAGMA(GCC target(names))
#define NADARAYA_END_TARGET NADARAYA_PRAGMA(GCC pop_options)
#endif

/// What the vector tiers of x86 have.
#define NADARAYA_AVX2 "avx,avx2,fma,bmi,bmi2,popcnt"
#define NADARAYA_AVX512 NADARAYA_AVX2 ",avx512f,avx512vl,avx512dq,avx512bw"

#endif
