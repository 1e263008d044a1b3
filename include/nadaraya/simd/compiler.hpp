// What the compiler offers to vector code.
#pragma once

// Vectors of its own, with arithmetic: GCC and Clang. Other compilers get packs of lanes in an array,
// and so do these if NADARAYA_ARRAY_PACKS is defined. That is there for tests, and must hold for
// every translation unit of a program or for none.
#if (defined(__GNUC__) || defined(__clang__)) && !defined(NADARAYA_ARRAY_PACKS)
#define NADARAYA_HAS_VECTORS 1
#else
#define NADARAYA_HAS_VECTORS 0
#endif

// Functions for instructions that the rest of the program does not use.
#if NADARAYA_HAS_VECTORS && (defined(__x86_64__) || defined(__i386__))
#define NADARAYA_HAS_AVX 1
#else
#define NADARAYA_HAS_AVX 0
#endif

// Tiles of bytes: AMX is for 64-bit code alone.
#if NADARAYA_HAS_AVX && defined(__x86_64__)
#define NADARAYA_HAS_AMX 1
#else
#define NADARAYA_HAS_AMX 0
#endif
