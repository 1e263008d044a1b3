# The test python/package installs the Python package and runs its tests, where Python's packages can be had.
find_program(NADARAYA_PYTHON python3)
mark_as_advanced(NADARAYA_PYTHON)
if(NOT NADARAYA_PYTHON OR CMAKE_CROSSCOMPILING OR CMAKE_CXX_FLAGS MATCHES "-fsanitize" OR
    NOT NADARAYA_BUILD_COMPILED OR NOT NADARAYA_INSTALL)
  message(STATUS "nadaraya: the Python package is not tested, which takes python3 and the compiled library for this machine")
  return()
endif()
add_test(NAME python/package COMMAND sh "${CMAKE_CURRENT_LIST_DIR}/run.sh" "${NADARAYA_PYTHON}" "${PROJECT_BINARY_DIR}/python"
  "${CMAKE_CXX_COMPILER}" "${CMAKE_COMMAND}" "${PROJECT_BINARY_DIR}" ${CMAKE_CXX_COMPILER_LAUNCHER})
# Mostly on one processor: other tests have the rest.
set_tests_properties(python/package PROPERTIES LABELS long SKIP_RETURN_CODE 77 RESOURCE_LOCK build TIMEOUT 1800)
