// Refuses programs whose files disagree about Eigen's alignment.
#pragma once

#include <Eigen/Core>

// Eigen's memory is aligned to EIGEN_MAX_ALIGN_BYTES, which follows from -march: 16 without, up to 64 with
// -march=native. Memory that a file with one number allocates and a file with another frees crashes, and the linker mixes
// the inline functions of both. Give every file the same, as with -DEIGEN_MAX_ALIGN_BYTES=16.
//
// g++, ELF: each file defines a symbol whose name carries the number in a section group, of which the linker keeps one of
// each name, and refers to it from outside. The reference of a file with another number is then undefined, in words that
// say what to do. Assemblers see all files at once under -flto, and compare the numbers.
// Others (clang's -flto=thin takes the symbols of two files for one defined twice): the number is a variable, of which the
// program keeps one, and each file compares it with its own before main. This notices two shared libraries as well.
#if defined(__ELF__) && defined(__GNUC__) && !defined(__clang__)

#if EIGEN_MAX_ALIGN_BYTES == 0
#define NADARAYA_ALIGNMENT "0"
#elif EIGEN_MAX_ALIGN_BYTES == 8
#define NADARAYA_ALIGNMENT "8"
#elif EIGEN_MAX_ALIGN_BYTES == 16
#define NADARAYA_ALIGNMENT "16"
#elif EIGEN_MAX_ALIGN_BYTES == 32
#define NADARAYA_ALIGNMENT "32"
#elif EIGEN_MAX_ALIGN_BYTES == 64
#define NADARAYA_ALIGNMENT "64"
#elif EIGEN_MAX_ALIGN_BYTES == 128
#define NADARAYA_ALIGNMENT "128"
#else
#define NADARAYA_ALIGNMENT "256"
#endif
#define NADARAYA_ALIGNED "nadaraya_needs_every_file_compiled_with_the_same_EIGEN_MAX_ALIGN_BYTES_here_" NADARAYA_ALIGNMENT

// The reference is a note, as in .note.gnu.build-id, which no linker leaves out with --gc-sections.
__asm__(
    ".ifndef nadaraya_alignment\n"
    ".set nadaraya_alignment, " NADARAYA_ALIGNMENT "\n"
    ".endif\n"
    ".if nadaraya_alignment - " NADARAYA_ALIGNMENT "\n"
    ".error \"" NADARAYA_ALIGNED "\"\n"
    ".endif\n"
    ".ifndef " NADARAYA_ALIGNED "\n"
    ".pushsection .rodata.nadaraya_alignment,\"aG\",%progbits,nadaraya_alignment_of_eigen,comdat\n"
    ".globl " NADARAYA_ALIGNED "\n"
    ".hidden " NADARAYA_ALIGNED "\n"
    NADARAYA_ALIGNED ":\n"
    ".byte " NADARAYA_ALIGNMENT "\n"
    ".popsection\n"
    ".pushsection .note.nadaraya,\"a\",%note\n"
    ".balign 4\n"
    ".long 9, 4, 1\n"
    ".asciz \"nadaraya\"\n"
    ".balign 4\n"
    ".long " NADARAYA_ALIGNED " - .\n"
    ".popsection\n"
    ".endif\n");

#undef NADARAYA_ALIGNED
#undef NADARAYA_ALIGNMENT

#else

#include <cstdio>
#include <cstdlib>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

inline bool require_same_alignment(int of_program, int of_file) {
  if (of_program == of_file) return true;
  std::fprintf(stderr,
               "nadaraya: files of this program were compiled with EIGEN_MAX_ALIGN_BYTES %d and %d; compile every file with "
               "the same, as with -DEIGEN_MAX_ALIGN_BYTES=16\n",
               of_program, of_file);
  std::abort();
}

/// Volatile, since a compiler takes that of its own file for that of the program.
inline const volatile int program_alignment = EIGEN_MAX_ALIGN_BYTES;
[[maybe_unused]] static const bool same_alignment = require_same_alignment(program_alignment, EIGEN_MAX_ALIGN_BYTES);

}  // namespace nadaraya::detail

#endif

#include "nadaraya/detail/end_precise.hpp"
