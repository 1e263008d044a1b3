# cmake -DCOMPILER=... -DOTHER_COMPILER=... -DSOURCES=<folder> -DINCLUDE=<folder> -DFOLDER=<for what is built>
#   -DFLAGS=<;-list> -P SameBuild.cmake
#
# Two files with the same EIGEN_MAX_ALIGN_BYTES, both or neither with NADARAYA_COMPILED, and of one version link and run.
# With a difference in any of the three they do not link, or the program ends at once, in words that name it: also where one
# of them is of another compiler, or in a shared library, unless that hides its symbols. OTHER_COMPILER may be empty.
file(MAKE_DIRECTORY "${FOLDER}/other_version/nadaraya")
file(READ "${INCLUDE}/nadaraya/version.hpp" version)
string(REGEX REPLACE "(VERSION_PATCH) [0-9]+" "\\1 99" version "${version}")
file(WRITE "${FOLDER}/other_version/nadaraya/version.hpp" "${version}")

# compile(<compiler> <name> <object> <flags>...): <object>.o
function(compile compiler name object)
  execute_process(COMMAND "${compiler}" ${ARGN} ${FLAGS} "-I${INCLUDE}" -c "${SOURCES}/same_build_${name}.cpp"
    -o "${FOLDER}/${object}.o" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# share(<name> <flags>...): <name>.so
function(share name)
  compile("${COMPILER}" other ${name} -fPIC ${ARGN})
  execute_process(COMMAND "${COMPILER}" -shared "${FOLDER}/${name}.o" -o "${FOLDER}/${name}.so" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# run(<object> <object or library> RESULT MESSAGES): links and runs.
function(run first second result messages)
  execute_process(COMMAND "${COMPILER}" ${FLAGS} "${FOLDER}/${first}" "${FOLDER}/${second}" -o "${FOLDER}/program"
    RESULT_VARIABLE status ERROR_VARIABLE text)
  if(status EQUAL 0)
    execute_process(COMMAND "${FOLDER}/program" RESULT_VARIABLE status ERROR_VARIABLE text)
  endif()
  set(${result} "${status}" PARENT_SCOPE)
  set(${messages} "${text}" PARENT_SCOPE)
endfunction()

set(alignment -DEIGEN_MAX_ALIGN_BYTES=16)
set(other_alignment -DEIGEN_MAX_ALIGN_BYTES=64)
set(other_version ${alignment} "-I${FOLDER}/other_version")
set(compiled -DNADARAYA_COMPILED)
compile("${COMPILER}" main main ${alignment})
compile("${COMPILER}" main main_compiled ${alignment} ${compiled})
compile("${COMPILER}" other same ${alignment})
compile("${COMPILER}" other same_compiled ${alignment} ${compiled})
compile("${COMPILER}" other other_alignment ${other_alignment})
compile("${COMPILER}" other other_version ${other_version})
share(shared ${alignment})
share(shared_alignment ${other_alignment})
share(hidden_version ${other_version} -fvisibility=hidden "-DNADARAYA_TEST_EXPORT=__attribute__((visibility(\"default\")))")

set(alike main.o/same.o main_compiled.o/same_compiled.o main.o/shared.so main.o/hidden_version.so)
set(unlike main.o/other_alignment.o/alignment main.o/same_compiled.o/compiled main_compiled.o/same.o/compiled
  main.o/other_version.o/version main.o/shared_alignment.so/alignment)
if(OTHER_COMPILER)
  compile("${OTHER_COMPILER}" other foreign ${alignment})
  compile("${OTHER_COMPILER}" other foreign_alignment ${other_alignment})
  list(APPEND alike main.o/foreign.o)
  list(APPEND unlike main.o/foreign_alignment.o/alignment)
endif()

foreach(case IN LISTS alike)
  string(REPLACE "/" ";" case "${case}")
  list(GET case 0 first)
  list(GET case 1 second)
  run(${first} ${second} result messages)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${first} and ${second} are compiled alike and must link and run, but:\n${messages}")
  endif()
endforeach()

set(named_alignment "EIGEN_MAX_ALIGN_BYTES")
set(named_compiled "NADARAYA_COMPILED")
set(named_version "version")
foreach(case IN LISTS unlike)
  string(REPLACE "/" ";" case "${case}")
  list(GET case 0 first)
  list(GET case 1 second)
  list(GET case 2 difference)
  run(${first} ${second} result messages)
  if(result EQUAL 0 OR NOT messages MATCHES "nadaraya[^\n]*${named_${difference}}")
    message(FATAL_ERROR "${first} and ${second} must be refused, naming ${named_${difference}}, but: ${result}\n${messages}")
  endif()
endforeach()
