// Inlining that correctness of speed depends on: a formula compiled outside a vector tier's region
// becomes that tier's code only by being inlined into it.
#pragma once

#if defined(__GNUC__) || defined(__clang__)
#define NADARAYA_INLINE inline __attribute__((always_inline))
#define NADARAYA_INLINE_LAMBDA __attribute__((always_inline))
#else
#define NADARAYA_INLINE inline
#define NADARAYA_INLINE_LAMBDA
#endif
