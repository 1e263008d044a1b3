# cmake -DCOMPILER=... -DSOURCE=... -DFOLDER=... -DFLAGS=<;-list> -DCOMMON=<;-list> -P FastMath.cmake
#
# Builds a program with FLAGS and runs it in every vector tier; then one whose other translation unit is
# built without them, the first to be linked being the one that has them.
file(MAKE_DIRECTORY "${FOLDER}")
set(compile "${COMPILER}" ${COMMON} -O2)

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

if(TWO)
  run(${compile} ${FLAGS} -DNADARAYA_FAST_MATH_SECOND -c "${SOURCE}" -o "${FOLDER}/fast.o")
  run(${compile} -DNADARAYA_FAST_MATH_TWO -c "${SOURCE}" -o "${FOLDER}/plain.o")
  run("${COMPILER}" "${FOLDER}/fast.o" "${FOLDER}/plain.o" -o "${FOLDER}/two")
  run_in_every_tier("${FOLDER}/two")
else()
  run(${compile} ${FLAGS} "${SOURCE}" -o "${FOLDER}/one")
  run_in_every_tier("${FOLDER}/one")
endif()
