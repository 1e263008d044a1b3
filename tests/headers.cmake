# Every header compiles alone and twice; all of them compile where min, max, near, far and other words are macros, and
# for 32-bit and Windows machines if a compiler for these is there; and two translation units that include everything link,
# also when built for different machines.
include("${PROJECT_SOURCE_DIR}/cmake/WriteIfChanged.cmake")
file(GLOB_RECURSE headers RELATIVE "${PROJECT_SOURCE_DIR}/include" CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/include/nadaraya/*.hpp")
# It needs MPI: tests/sharded_mpi compiles it.
list(REMOVE_ITEM headers nadaraya/sharded/mpi.hpp)
set(generated "${CMAKE_CURRENT_BINARY_DIR}/headers")

set(everything "#pragma once\n\n")
set(system_headers "")
foreach(header IN LISTS headers)
  string(REGEX REPLACE "[/.]" "_" name "${header}")
  set(source "${generated}/${name}.cpp")
  write_if_changed("${source}" "#include \"${header}\"\n#include \"${header}\"\n")
  string(APPEND everything "#include \"${header}\"\n")

  file(STRINGS "${PROJECT_SOURCE_DIR}/include/${header}" lines REGEX "^ *# *include *[<\"]")
  list(TRANSFORM lines REPLACE "^[^<\"]*[<\"]([^>\"]+).*" "\\1" OUTPUT_VARIABLE included)
  set(own_${name} "${included}")
  list(FILTER own_${name} INCLUDE REGEX "^nadaraya/.*hpp$")
  list(TRANSFORM own_${name} REPLACE "[/.]" "_")
  list(FILTER included EXCLUDE REGEX "^nadaraya/")
  list(APPEND system_headers ${included})
  set(reached_${name} "${included}")
  if(nadaraya_engine_definitions_hpp IN_LIST own_${name})
    list(APPEND reached_${name} nadaraya/engine/definitions.hpp)
  endif()
endforeach()
write_if_changed("${generated}/everything.hpp" "${everything}")

# The standard library's and Eigen's own headers come before the macros, which they need not survive.
list(REMOVE_DUPLICATES system_headers)
list(SORT system_headers)
# Sets the variable to the text that includes those of the headers that there are. clang has ARM's intrinsics everywhere, and
# refuses them everywhere but there.
function(include_system_headers variable)
  set(text "")
  foreach(header IN LISTS ARGN)
    if(NOT header MATCHES "^arm_")
      string(APPEND text "#if __has_include(<${header}>)\n#include <${header}>\n#endif\n")
    endif()
  endforeach()
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
include_system_headers(poisoned ${system_headers})
# What other libraries' headers define as macros, and a header-only library meets in their users' files: <windows.h> and
# what it includes, <math.h>, <complex.h>, <sys/sysmacros.h>, the compiler (unix, linux), X11, Qt.
set(function_macros min max major minor makedev)
set(object_macros
  near far NEAR FAR small hyper interface pascal cdecl CDECL PASCAL STDMETHODCALLTYPE IN OUT OPTIONAL CONST VOID THIS
  TRUE FALSE BOOL ERROR ERROR_SUCCESS NO_ERROR DELETE STRICT CALLBACK WINAPI APIENTRY ABSOLUTE RELATIVE DIFFERENCE
  TRANSPARENT OPAQUE MIN MAX MINSHORT MAXSHORT IGNORE INFINITE MEM_LARGE_PAGES PURE NULL_BRUSH GetObject GetMessage
  SendMessage CreateWindow LoadImage DrawText Yield rad1 grp1 uuid boolean environ
  DOMAIN SING OVERFLOW UNDERFLOW PLOSS TLOSS HUGE HUGE_VAL NAN INFINITY M_PI M_E isnormal
  I complex imaginary unix linux i386 sun mips vax
  None Bool Status Success Always Never Above Below Unsorted True False CurrentTime
  signals slots emit forever foreach Q_OBJECT
  B0 PI HALF_PI DEG_TO_RAD SERIAL DISPLAY INPUT OUTPUT HIGH LOW CHANGE DEFAULT
  ECHO PAGE_SIZE BLOCK_SIZE EOF_CHAR OK ERR VERSION PACKAGE ASSERT CHECK DEBUG assert_param LOG)
string(APPEND poisoned "\n")
foreach(macro IN LISTS function_macros)
  string(APPEND poisoned "#undef ${macro}\n#define ${macro}(...) poisoned ${macro}\n")
endforeach()
foreach(macro IN LISTS object_macros)
  string(APPEND poisoned "#undef ${macro}\n#define ${macro} poisoned ${macro} @\n")
endforeach()
string(APPEND poisoned "\n#include \"everything.hpp\"\n")
write_if_changed("${generated}/poisoned.cpp" "${poisoned}")

# More than half of the time would go into reading Eigen/Core, the processor's intrinsics and the engine. Precompiled, they hide
# nothing from a header that includes all of them, itself or through others of these.
set(names "${headers}")
list(TRANSFORM names REPLACE "[/.]" "_")
set(changed ON)
while(changed)
  set(changed OFF)
  foreach(name IN LISTS names)
    list(LENGTH reached_${name} before)
    foreach(own IN LISTS own_${name})
      list(APPEND reached_${name} ${reached_${own}})
    endforeach()
    list(REMOVE_DUPLICATES reached_${name})
    list(LENGTH reached_${name} after)
    if(after GREATER before)
      set(changed ON)
    endif()
  endforeach()
endwhile()
set(precompiled_eigen Eigen/Core)
set(precompiled_loops ${reached_nadaraya_loops_tiers_hpp})
set(precompiled_engine nadaraya/engine/definitions.hpp)
set(sources_plain "${generated}/poisoned.cpp")
foreach(name IN LISTS names)
  set(group plain)
  foreach(precompiled IN ITEMS eigen loops engine)
    set(missing "${precompiled_${precompiled}}")
    list(REMOVE_ITEM missing ${reached_${name}})
    if(missing STREQUAL "")
      set(group ${precompiled})
    endif()
  endforeach()
  list(APPEND sources_${group} "${generated}/${name}.cpp")
endforeach()

add_custom_target(test_headers)
foreach(group IN ITEMS plain eigen loops engine)
  set(target test_headers_${group})
  add_library(${target} OBJECT EXCLUDE_FROM_ALL ${sources_${group}})
  target_link_libraries(${target} PRIVATE nadaraya::nadaraya)
  target_include_directories(${target} PRIVATE "${generated}")
  nadaraya_warnings(${target})
  # Only whether they compile matters, so no time goes into optimizing them.
  target_compile_options(${target} PRIVATE -O0)
  if(DEFINED precompiled_${group})
    include_system_headers(includes ${precompiled_${group}})
    write_if_changed("${generated}/precompiled_${group}.hpp" "${includes}")
    target_precompile_headers(${target} PRIVATE "${generated}/precompiled_${group}.hpp")
  endif()
  add_dependencies(test_headers ${target})
endforeach()
long_target(test_headers)

include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-march=native NADARAYA_MARCH_NATIVE)
add_executable(test_odr odr/main.cpp odr/baseline.cpp odr/native.cpp)
target_link_libraries(test_odr PRIVATE nadaraya::nadaraya)
target_include_directories(test_odr PRIVATE "${generated}")
nadaraya_warnings(test_odr)
# Eigen's own inline functions differ between the two machines; without its vector code they agree,
# and what is left to differ is nadaraya's.
target_compile_definitions(test_odr PRIVATE EIGEN_DONT_VECTORIZE EIGEN_MAX_ALIGN_BYTES=16)
target_compile_options(test_odr PRIVATE "$<$<CONFIG:Release>:-Og>")
set_source_files_properties(odr/native.cpp PROPERTIES COMPILE_OPTIONS "$<$<BOOL:${NADARAYA_MARCH_NATIVE}>:-march=native>")
long_target(test_odr)
add_test(NAME headers/odr COMMAND test_odr)
set_tests_properties(headers/odr PROPERTIES LABELS long FIXTURES_REQUIRED test_odr)

# Files that were not compiled alike are refused: with another alignment of Eigen, as with and without -march=native, with
# another version, or one header-only and one not.
get_target_property(eigen_folders Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
list(TRANSFORM eigen_folders PREPEND "-isystem;" OUTPUT_VARIABLE eigen_flags)
if(NOT CMAKE_CROSSCOMPILING)
  foreach(compiler IN LISTS compilers_here)
    get_filename_component(compiler_name "${compiler}" NAME)
    string(REPLACE "+" "x" compiler_name "${compiler_name}")
    set(other_compiler "${compilers_here}")
    list(REMOVE_ITEM other_compiler "${compiler}")
    add_test(NAME headers/same_build/${compiler_name} COMMAND "${CMAKE_COMMAND}" "-DCOMPILER=${compiler}"
      "-DOTHER_COMPILER=${other_compiler}" "-DSOURCES=${CMAKE_CURRENT_SOURCE_DIR}/odr" "-DINCLUDE=${PROJECT_SOURCE_DIR}/include"
      "-DFOLDER=${CMAKE_CURRENT_BINARY_DIR}/same_build_${compiler_name}" "-DFLAGS=-std=c++20;-O0;${eigen_flags}"
      -P "${PROJECT_SOURCE_DIR}/cmake/SameBuild.cmake")
    set_tests_properties(headers/same_build/${compiler_name} PROPERTIES LABELS "compile_fail;long")
  endforeach()
endif()

# Other machines, where their compilers are installed (Debian: g++-i686-linux-gnu, g++-mingw-w64-x86-64-posix).
foreach(machine i686-linux-gnu x86_64-w64-mingw32)
  find_program(NADARAYA_CXX_${machine} NAMES ${machine}-g++-posix ${machine}-g++)
  mark_as_advanced(NADARAYA_CXX_${machine})
  # The folder of another machine's own headers would come before the compiler's.
  if(NADARAYA_CXX_${machine} AND NOT "/usr/include" IN_LIST eigen_folders)
    add_test(NAME headers/${machine} COMMAND "${NADARAYA_CXX_${machine}}" -std=c++20 -fsyntax-only -Wall -Wextra -Werror
      "-I${PROJECT_SOURCE_DIR}/include" ${eigen_flags} "${CMAKE_CURRENT_SOURCE_DIR}/odr/other_machine.cpp")
    set_tests_properties(headers/${machine} PROPERTIES LABELS "compile_fail;long")
  endif()
endforeach()
