# cmake -DCOMPILER=... -DSOURCES=... -DFOLDER=... -DFLAGS=<;-list> -DCOMMON=<;-list> -P FastMath.cmake
#
# Builds the checks with FLAGS and runs them in every vector tier; where FLAGS allow everything, then beside the same checks
# without FLAGS in another translation unit. Not optimized, these call every function of the library that has a copy in the
# first, which is the one that the linker keeps.
file(MAKE_DIRECTORY "${FOLDER}")
set(compile "${COMPILER}" ${COMMON})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${command}\n${output}")
  endif()
endfunction()

function(run_in_every_tier program)
  foreach(tier avx512 avx2 baseline)
    run("${CMAKE_COMMAND}" -E env NADARAYA_TIER=${tier} "${program}")
  endforeach()
endfunction()

run(${compile} -O2 ${FLAGS} -DNADARAYA_CHECKS=checks_with_flags -c "${SOURCES}/checks.cpp" -o "${FOLDER}/fast.o")
run(${compile} "${SOURCES}/main.cpp" "${FOLDER}/fast.o" -o "${FOLDER}/one")
run_in_every_tier("${FOLDER}/one")
if(FLAGS STREQUAL "-Ofast")
  run(${compile} -O0 -DNADARAYA_CHECKS=checks_without_flags -c "${SOURCES}/checks.cpp" -o "${FOLDER}/plain.o")
  run(${compile} -DNADARAYA_TWO "${SOURCES}/main.cpp" "${FOLDER}/fast.o" "${FOLDER}/plain.o" -o "${FOLDER}/two")
  run_in_every_tier("${FOLDER}/two")
endif()
