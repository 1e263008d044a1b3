# A header as Doxygen reads it, line by line: its first comment describes the file, and the indented lines of a comment are
# code, unless they belong to a list.
function put(line) {
  if (held_any) print held
  held = line
  held_any = 1
}

# The title, one line later, so that it follows @file and takes the line of #pragma once.
NR == 1 && /^\/\/ / { title = substr($0, 4); in_title = 1; put("/** @file"); next }
in_title { put(title (/^\/\/ / ? "" : " */")); in_title = /^\/\/ /; title = substr($0, 4); next }

{
  comment = /^ *\/\/\/( |$)/
  if (!comment || /^ *\/\/\/ ?$/) item = 0
  if (/^ *\/\/\/ +[*-] /) item = 1
  code = /^ *\/\/\/   +[^ ]/ && !item
  if (in_code && !code) held = held " @endcode"
  line = $0
  if (code && !in_code) held = held " @code{.cpp}"
  in_code = code
  # How template arguments are deduced is no entity of its own.
  if (line ~ /^[A-Z][A-Za-z]*\(.*\) -> /) line = "using DeductionGuide = void;"
  put(line)
}
END { if (held_any) print held }
