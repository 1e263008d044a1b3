#!/bin/sh
# coverage.sh SOURCE BUILD
#
# After the tests of a --coverage build have run in BUILD, prints one line:
#   line coverage of include/: 98.7 % (1234 of 1250 lines)
# A line counts once, however many translation units compiled it, and as covered if one of them ran
# it. A template that no test instantiates has no lines at all.
set -eu
source=$1
build=$2

# What is compiled without being run (the header checks) has no .gcda file and is not counted.
if command -v gcovr > /dev/null; then
  # --txt ends with: TOTAL  lines  covered  percent
  find "$build" -name '*.gcda' | grep -q . || { echo "no test has run in $build" >&2; exit 1; }
  report=$build/coverage.txt
  gcovr --root "$source" --filter "$source/include/" --object-directory "$build" \
    --gcov-ignore-parse-errors --txt "$report" "$build"
  sed '/^TOTAL/d' "$report"
  awk '/^TOTAL/ { lines = $2; covered = $3 }
    END {
      if (!lines) { print "gcovr found no lines" > "/dev/stderr"; exit 1 }
      printf "line coverage of include/: %.1f %% (%d of %d lines)\n", 100 * covered / lines, covered, lines
    }' "$report"
else
  find "$build" -name '*.gcda' -print0 | xargs -0 -r gcov --stdout 2> /dev/null |
    awk -F: -v include="$source/include/" '
      # gcov prints "count:line:text", where text of line 0 names the source.
      { count = $1; line = $2 + 0; gsub(/[ *]/, "", count) }
      line == 0 && $3 == "Source" { file = substr($0, index($0, "Source:") + 7); next }
      line > 0 && index(file, include) == 1 && count != "-" {
        seen[file, line] = 1
        if (count !~ /^[#=]/) ran[file, line] = 1
      }
      END {
        for (key in seen) { ++lines; if (key in ran) ++covered }
        if (!lines) { print "gcov found no lines" > "/dev/stderr"; exit 1 }
        printf "line coverage of include/: %.1f %% (%d of %d lines)\n", 100 * covered / lines, covered, lines
      }'
fi
