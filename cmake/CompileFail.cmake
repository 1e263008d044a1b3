# cmake -DCOMPILER=... -DSOURCE=... -DFLAGS=<;-list> -P CompileFail.cmake
#
# The source must compile as it stands, and must not compile with -DFAIL; then the compiler must
# say the text that the source's first line announces: // expect: <text>
file(STRINGS "${SOURCE}" lines LIMIT_COUNT 1)
if(NOT lines MATCHES "^// expect: (.+)$")
  message(FATAL_ERROR "${SOURCE}: the first line must be '// expect: <text>'")
endif()
set(expected "${CMAKE_MATCH_1}")

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
string(FIND "${messages}" "${expected}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "${SOURCE} failed to compile with -DFAIL without saying '${expected}':\n${messages}")
endif()
