# cmake -DCOMPILER=... -DSOURCES=<folder> -DINCLUDE=<folder> -DFOLDER=<for what is built> -DFLAGS=<;-list> -P SameBuild.cmake
#
# Two files with the same EIGEN_MAX_ALIGN_BYTES, both or neither with NADARAYA_COMPILED, and of one version link and run.
# With a difference in any of the three they do not link, or the program ends at once, in words that name it.
file(MAKE_DIRECTORY "${FOLDER}/other_version/nadaraya")
file(READ "${INCLUDE}/nadaraya/version.hpp" version)
string(REGEX REPLACE "(VERSION_PATCH) [0-9]+" "\\1 99" version "${version}")
file(WRITE "${FOLDER}/other_version/nadaraya/version.hpp" "${version}")

# compile(<name> <object> <flags>...): <object>.o
function(compile name object)
  execute_process(COMMAND "${COMPILER}" ${ARGN} ${FLAGS} "-I${INCLUDE}" -c "${SOURCES}/same_build_${name}.cpp"
    -o "${FOLDER}/${object}.o" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# run(<objects>... RESULT MESSAGES): links and runs.
function(run first second result messages)
  execute_process(COMMAND "${COMPILER}" ${FLAGS} "${FOLDER}/${first}.o" "${FOLDER}/${second}.o" -o "${FOLDER}/program"
    RESULT_VARIABLE status ERROR_VARIABLE text)
  if(status EQUAL 0)
    execute_process(COMMAND "${FOLDER}/program" RESULT_VARIABLE status ERROR_VARIABLE text)
  endif()
  set(${result} "${status}" PARENT_SCOPE)
  set(${messages} "${text}" PARENT_SCOPE)
endfunction()

set(alignment -DEIGEN_MAX_ALIGN_BYTES=16)
set(compiled -DNADARAYA_COMPILED)
compile(main main ${alignment})
compile(main main_compiled ${alignment} ${compiled})
compile(other same ${alignment})
compile(other same_compiled ${alignment} ${compiled})
compile(other other_alignment -DEIGEN_MAX_ALIGN_BYTES=64)
compile(other other_version ${alignment} "-I${FOLDER}/other_version")

foreach(pair IN ITEMS main/same main_compiled/same_compiled)
  get_filename_component(first "${pair}" DIRECTORY)
  get_filename_component(second "${pair}" NAME)
  run(${first} ${second} result messages)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${first}.o and ${second}.o are compiled alike and must link and run, but:\n${messages}")
  endif()
endforeach()

set(named_alignment "EIGEN_MAX_ALIGN_BYTES")
set(named_compiled "NADARAYA_COMPILED")
set(named_version "version")
foreach(case IN ITEMS main/other_alignment/alignment main/same_compiled/compiled main_compiled/same/compiled
    main/other_version/version)
  string(REPLACE "/" ";" case "${case}")
  list(GET case 0 first)
  list(GET case 1 second)
  list(GET case 2 difference)
  run(${first} ${second} result messages)
  if(result EQUAL 0 OR NOT messages MATCHES "nadaraya[^\n]*${named_${difference}}")
    message(FATAL_ERROR "${first}.o and ${second}.o must be refused, naming ${named_${difference}}, but: ${result}\n${messages}")
  endif()
endforeach()
