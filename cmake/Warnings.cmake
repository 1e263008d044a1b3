# nadaraya_warnings(<target>): the warnings that nadaraya's own code is kept free of.
function(nadaraya_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  # g++ reports numbers of vectors that are set lane by lane.
  target_compile_options(${target} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>")
  if(NADARAYA_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
