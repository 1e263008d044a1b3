# cmake -DCOMPILER=... -DSOURCES=<folder> -DFOLDER=<for what is built> -DFLAGS=<;-list> -P Alignment.cmake
#
# Two files with the same EIGEN_MAX_ALIGN_BYTES link and run; with different ones they do not link, or the program ends at
# once, in words that name the macro.
file(MAKE_DIRECTORY "${FOLDER}")

# compile(<name> <alignment>): <name>_<alignment>.o
function(compile name alignment)
  execute_process(COMMAND "${COMPILER}" ${FLAGS} -DEIGEN_MAX_ALIGN_BYTES=${alignment} -c "${SOURCES}/${name}.cpp"
    -o "${FOLDER}/${name}_${alignment}.o" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# run(<alignment of other> <result> <messages>): links and runs.
function(run alignment result messages)
  execute_process(COMMAND "${COMPILER}" ${FLAGS} "${FOLDER}/alignment_main_16.o" "${FOLDER}/alignment_other_${alignment}.o"
    -o "${FOLDER}/program_${alignment}" RESULT_VARIABLE status ERROR_VARIABLE text)
  if(status EQUAL 0)
    execute_process(COMMAND "${FOLDER}/program_${alignment}" RESULT_VARIABLE status ERROR_VARIABLE text)
  endif()
  set(${result} "${status}" PARENT_SCOPE)
  set(${messages} "${text}" PARENT_SCOPE)
endfunction()

compile(alignment_main 16)
compile(alignment_other 16)
compile(alignment_other 64)
run(16 result messages)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "files with the same EIGEN_MAX_ALIGN_BYTES must link and run, but:\n${messages}")
endif()
run(64 result messages)
if(result EQUAL 0 OR NOT messages MATCHES "EIGEN_MAX_ALIGN_BYTES")
  message(FATAL_ERROR "files with different EIGEN_MAX_ALIGN_BYTES must be refused by name, but: ${result}\n${messages}")
endif()
