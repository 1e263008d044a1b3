# Every header compiles alone and twice; all of them compile where min and max are macros; and two
# translation units that include everything link, also when built for different machines.
include("${PROJECT_SOURCE_DIR}/cmake/WriteIfChanged.cmake")
file(GLOB_RECURSE headers RELATIVE "${PROJECT_SOURCE_DIR}/include" CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/include/nadaraya/*.hpp")
set(generated "${CMAKE_CURRENT_BINARY_DIR}/headers")

set(alone "")
set(everything "#pragma once\n\n")
set(system_headers "")
foreach(header IN LISTS headers)
  string(REGEX REPLACE "[/.]" "_" name "${header}")
  set(source "${generated}/${name}.cpp")
  write_if_changed("${source}" "#include \"${header}\"\n#include \"${header}\"\n")
  list(APPEND alone "${source}")
  string(APPEND everything "#include \"${header}\"\n")

  file(STRINGS "${PROJECT_SOURCE_DIR}/include/${header}" lines REGEX "^ *# *include *<[^>]+>")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE ".*<([^>]+)>.*" "\\1" system_header "${line}")
    list(APPEND system_headers "${system_header}")
  endforeach()
endforeach()
write_if_changed("${generated}/everything.hpp" "${everything}")

# The standard library's and Eigen's own headers come before the macros, which they need not survive.
list(REMOVE_DUPLICATES system_headers)
list(SORT system_headers)
# clang has ARM's intrinsics everywhere, and refuses them everywhere but there.
list(FILTER system_headers EXCLUDE REGEX "^arm_")
set(poisoned "")
foreach(system_header IN LISTS system_headers)
  string(APPEND poisoned "#if __has_include(<${system_header}>)\n#include <${system_header}>\n#endif\n")
endforeach()
string(APPEND poisoned "
#define min(a, b) poisoned min
#define max(a, b) poisoned max

#include \"everything.hpp\"
")
write_if_changed("${generated}/poisoned.cpp" "${poisoned}")

add_library(test_headers OBJECT ${alone} "${generated}/poisoned.cpp")
target_link_libraries(test_headers PRIVATE nadaraya::nadaraya)
target_include_directories(test_headers PRIVATE "${generated}")
nadaraya_warnings(test_headers)
# Only whether they compile matters, so no time goes into optimizing them.
target_compile_options(test_headers PRIVATE -O0)

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
add_test(NAME headers/odr COMMAND test_odr)
