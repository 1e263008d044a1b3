#!/bin/sh
# coverage.sh CLANG SOURCE BUILD
#
# After the tests of a clang build with -fprofile-instr-generate -fcoverage-mapping have run in BUILD
# with LLVM_PROFILE_FILE=BUILD/profiles/%m.profraw, prints a table by header, which ends with:
#   line coverage of include/: 98.7 % (1234 of 1250 lines)
# A line counts once, however many translation units compiled it, and as covered if one of them ran
# it. A template that no test instantiates has no lines at all.
set -eu
clang=$1
source=$2
build=$3

ls "$build"/profiles/*.profraw > /dev/null 2>&1 || { echo "no test has run in $build" >&2; exit 1; }
"$("$clang" -print-prog-name=llvm-profdata)" merge -sparse "$build"/profiles/*.profraw -o "$build/coverage.profdata"

set --
for program in "$build"/tests/test_*; do
  if [ -f "$program" ] && [ -x "$program" ]; then
    set -- "$@" -object "$program"
  fi
done
shift  # the first program goes without -object
report=$build/coverage.txt
"$("$clang" -print-prog-name=llvm-cov)" report -instr-profile "$build/coverage.profdata" "$@" "$source/include" \
  > "$report"

# Columns: name, then regions, functions and lines, each as count, missed, percent.
awk '/^-/ || /^Filename/ || NF < 10 { next }
  $1 != "TOTAL" { printf "%-40s %5d lines, %4d not run\n", $1, $8, $9; next }
  { lines = $8; missed = $9 }
  END {
    if (!lines) { print "llvm-cov found no lines" > "/dev/stderr"; exit 1 }
    printf "line coverage of include/: %.1f %% (%d of %d lines)\n", 100 * (lines - missed) / lines, lines - missed, lines
  }' "$report"
