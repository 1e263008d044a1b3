# nadaraya_warnings(<target>): the warnings that nadaraya's own code is kept free of.
function(nadaraya_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  if(NADARAYA_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
