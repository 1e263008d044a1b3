# cmake -DCOMPILER=... -DSOURCE=... -DFLAGS=<;-list> -P CompileFail.cmake
#
# The source must compile as it stands, and must not compile with -DFAIL; then the compiler must
# say the texts that the source's first lines announce:
#   // expect: <text>          anywhere in its messages
#   // expect first: <text>    in the first error
file(STRINGS "${SOURCE}" lines)
set(expected "")
set(expected_first "")
foreach(line IN LISTS lines)
  if(line MATCHES "^// expect: (.+)$")
    list(APPEND expected "${CMAKE_MATCH_1}")
  elseif(line MATCHES "^// expect first: (.+)$")
    list(APPEND expected_first "${CMAKE_MATCH_1}")
  else()
    break()
  endif()
endforeach()
if(NOT expected AND NOT expected_first)
  message(FATAL_ERROR "${SOURCE}: the first line must be '// expect: <text>'")
endif()

# The C locale keeps quotation marks in the compiler's messages plain.
set(ENV{LC_ALL} C)
set(compile "${COMPILER}" ${FLAGS} -fsyntax-only)

execute_process(COMMAND ${compile} "${SOURCE}" RESULT_VARIABLE result ERROR_VARIABLE messages)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} must compile without -DFAIL, but:\n${messages}")
endif()

execute_process(COMMAND ${compile} -DFAIL "${SOURCE}" RESULT_VARIABLE result ERROR_VARIABLE messages)
if(result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} must not compile with -DFAIL, but it did")
endif()
foreach(text IN LISTS expected)
  string(FIND "${messages}" "${text}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "${SOURCE} failed to compile with -DFAIL without saying '${text}':\n${messages}")
  endif()
endforeach()
string(REGEX MATCH "[^\n]*error:[^\n]*" first_error "${messages}")
foreach(text IN LISTS expected_first)
  string(FIND "${first_error}" "${text}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "${SOURCE} failed to compile with -DFAIL without saying '${text}' first:\n${messages}")
  endif()
endforeach()
