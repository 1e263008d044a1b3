// Refuses programs whose files disagree about what must be the same in all of them.
#pragma once

#include <Eigen/Core>

#include "nadaraya/version.hpp"

#include <cstdio>
#include <cstdlib>

#include "nadaraya/detail/precise.hpp"

// Files of one program must agree about
// - Eigen's alignment, EIGEN_MAX_ALIGN_BYTES, which follows from -march: 16 without, up to 64 with -march=native. Memory
//   that a file with one number allocates and a file with another frees crashes, and the linker mixes the inline functions
//   of both. Give every file the same, as with -DEIGEN_MAX_ALIGN_BYTES=16.
// - NADARAYA_COMPILED: with it, the engine comes from the library nadaraya_compiled, without it from the headers.
// - the library's version, of the headers and of nadaraya_compiled.
#ifdef NADARAYA_COMPILED
#define NADARAYA_IS_COMPILED 1
#else
#define NADARAYA_IS_COMPILED 0
#endif

// The answers are variables, of which the program keeps one each, and every file compares them with its own before main: files
// of several compilers and of shared libraries too. A library compiled with -fvisibility=hidden shares neither its inline
// functions nor these variables with others, and is not compared.
// g++, ELF: the linker refuses such files already. Each defines, for each question, a symbol whose name carries its answer in
// a section group, of which the linker keeps one for each question, and refers to it from outside. The reference of a file with
// another answer is then undefined, in words that say what to do. Assemblers see all files at once under -flto, and compare the
// answers. (clang's -flto=thin takes the symbols of two files for one defined twice.)
#if defined(__ELF__) && defined(__GNUC__) && !defined(__clang__)

#define NADARAYA_TEXT_OF(value) #value
#define NADARAYA_TEXT(value) NADARAYA_TEXT_OF(value)

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
#define NADARAYA_MAJOR NADARAYA_TEXT(NADARAYA_VERSION_MAJOR)
#define NADARAYA_MINOR NADARAYA_TEXT(NADARAYA_VERSION_MINOR)
#define NADARAYA_PATCH NADARAYA_TEXT(NADARAYA_VERSION_PATCH)

// The reference is a note, as in .note.gnu.build-id, which no linker leaves out with --gc-sections.
#define NADARAYA_SAME(question, answer, symbol)                              \
  __asm__(                                                                   \
      ".ifndef nadaraya_answer_" question "\n"                               \
      ".set nadaraya_answer_" question ", " answer "\n"                      \
      ".endif\n"                                                             \
      ".if nadaraya_answer_" question " - (" answer ")\n"                    \
      ".error \"" symbol "\"\n"                                              \
      ".endif\n"                                                             \
      ".ifndef " symbol "\n"                                                 \
      ".pushsection .rodata.nadaraya_" question ",\"aG\",%progbits,nadaraya_group_" question ",comdat\n" \
      ".globl " symbol "\n"                                                  \
      ".hidden " symbol "\n"                                                 \
      symbol ":\n"                                                           \
      ".byte 0\n"                                                            \
      ".popsection\n"                                                        \
      ".pushsection .note.nadaraya,\"a\",%note\n"                            \
      ".balign 4\n"                                                          \
      ".long 9, 4, 1\n"                                                      \
      ".asciz \"nadaraya\"\n"                                                \
      ".balign 4\n"                                                          \
      ".long " symbol " - .\n"                                               \
      ".popsection\n"                                                        \
      ".endif\n")

NADARAYA_SAME("alignment", NADARAYA_ALIGNMENT,
              "nadaraya_needs_every_file_compiled_with_the_same_EIGEN_MAX_ALIGN_BYTES_here_" NADARAYA_ALIGNMENT);
#if NADARAYA_IS_COMPILED
NADARAYA_SAME("compiled", "1", "nadaraya_needs_NADARAYA_COMPILED_defined_in_every_file_or_in_none_here_defined");
#else
NADARAYA_SAME("compiled", "0", "nadaraya_needs_NADARAYA_COMPILED_defined_in_every_file_or_in_none_here_not_defined");
#endif
NADARAYA_SAME("version", NADARAYA_MAJOR "*10000+" NADARAYA_MINOR "*100+" NADARAYA_PATCH,
              "nadaraya_needs_every_file_compiled_with_the_same_version_of_nadaraya_here_" NADARAYA_MAJOR
              "_" NADARAYA_MINOR "_" NADARAYA_PATCH);

#undef NADARAYA_SAME
#undef NADARAYA_PATCH
#undef NADARAYA_MINOR
#undef NADARAYA_MAJOR
#undef NADARAYA_ALIGNMENT
#undef NADARAYA_TEXT
#undef NADARAYA_TEXT_OF

#endif

namespace nadaraya::detail {

inline bool require_same(const char* subject, int of_program, int of_file) {
  if (of_program == of_file) return true;
  std::fprintf(stderr, "nadaraya: files of this program were compiled with %s %d and %d; compile every file with the same\n",
               subject, of_program, of_file);
  std::abort();
}

/// Volatile, since a compiler takes those of its own file for those of the program.
inline const volatile int program_alignment = EIGEN_MAX_ALIGN_BYTES;
inline const volatile int program_is_compiled = NADARAYA_IS_COMPILED;
inline const volatile int program_version = NADARAYA_VERSION;
[[maybe_unused]] static const bool same_build =
    require_same("EIGEN_MAX_ALIGN_BYTES", program_alignment, EIGEN_MAX_ALIGN_BYTES) &&
    require_same("NADARAYA_COMPILED (0: header-only)", program_is_compiled, NADARAYA_IS_COMPILED) &&
    require_same("versions of nadaraya,", program_version, NADARAYA_VERSION);

}  // namespace nadaraya::detail

#undef NADARAYA_IS_COMPILED

#include "nadaraya/detail/end_precise.hpp"
