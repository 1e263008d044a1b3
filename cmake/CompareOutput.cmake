# cmake -DPROGRAM=... [-DARGUMENT=...] -DEXPECTED=... -P CompareOutput.cmake
#
# Runs the program, which must succeed and, if the file EXPECTED exists, print what that holds.
execute_process(COMMAND "${PROGRAM}" ${ARGUMENT} RESULT_VARIABLE result OUTPUT_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result}")
endif()
if(EXISTS "${EXPECTED}")
  file(READ "${EXPECTED}" expected)
  if(NOT output STREQUAL expected)
    message(FATAL_ERROR "${PROGRAM} printed\n${output}instead of\n${expected}")
  endif()
endif()
