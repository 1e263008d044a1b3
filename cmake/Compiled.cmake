# nadaraya::compiled: the headers with the engine for float and double in a static library, so that a user's files do not
# compile it. For each scalar one translation unit for the engine and its loops and one for the built-in policies; one for the
# thread pool, one for the options of operators and one for regressions.
include("${CMAKE_CURRENT_LIST_DIR}/WriteIfChanged.cmake")
set(compiled_sources "")
# Programs that use one scalar alone may leave the other out: half the time.
set(NADARAYA_COMPILED_SCALARS float double CACHE STRING "Scalars that nadaraya::compiled holds")
mark_as_advanced(NADARAYA_COMPILED_SCALARS)
foreach(scalar IN LISTS NADARAYA_COMPILED_SCALARS)
  foreach(part compiled/engine_source compiled/policies_source)
    get_filename_component(name "${part}" NAME)
    set(source "${CMAKE_CURRENT_BINARY_DIR}/compiled/${name}_${scalar}.cpp")
    write_if_changed("${source}"
      "#define NADARAYA_SOURCE_SCALAR ${scalar}\n#include \"nadaraya/${part}.ipp\"\n")
    list(APPEND compiled_sources "${source}")
  endforeach()
endforeach()
foreach(part IN ITEMS thread_pool options regression)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/compiled/${part}.cpp")
  write_if_changed("${source}" "#include \"nadaraya/compiled/${part}_source.ipp\"\n")
  list(APPEND compiled_sources "${source}")
endforeach()

# In a project that includes this one, built only if a target links it.
set(compiled_only_if_linked "")
if(NOT NADARAYA_BUILD_COMPILED)
  set(compiled_only_if_linked EXCLUDE_FROM_ALL)
endif()
add_library(nadaraya_compiled STATIC ${compiled_only_if_linked} ${compiled_sources})
add_library(nadaraya::compiled ALIAS nadaraya_compiled)
target_link_libraries(nadaraya_compiled PUBLIC nadaraya)
target_compile_definitions(nadaraya_compiled PUBLIC NADARAYA_COMPILED)
# Shared libraries, Python modules among them, may hold it.
set_target_properties(nadaraya_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME compiled)
# g++ would otherwise not inline functions that another library could replace.
target_compile_options(nadaraya_compiled PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-fno-semantic-interposition>")

# nadaraya::c: the C interface, nadaraya/nadaraya.h. A shared library, which other languages can load and which exports
# nothing else; static where BUILD_SHARED_LIBS is set to OFF.
if(NADARAYA_BUILD_C)
  foreach(scalar IN ITEMS float double)
    if(NOT scalar IN_LIST NADARAYA_COMPILED_SCALARS)
      message(FATAL_ERROR "NADARAYA_BUILD_C needs float and double in NADARAYA_COMPILED_SCALARS")
    endif()
  endforeach()
  set(c_kind SHARED)
  if(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS)
    set(c_kind STATIC)
  endif()
  set(source "${CMAKE_CURRENT_BINARY_DIR}/compiled/c.cpp")
  write_if_changed("${source}" "#include \"nadaraya/compiled/c_source.ipp\"\n")
  add_library(nadaraya_c ${c_kind} "${source}")
  add_library(nadaraya::c ALIAS nadaraya_c)
  target_include_directories(nadaraya_c INTERFACE "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>")
  target_link_libraries(nadaraya_c PRIVATE nadaraya_compiled)
  # Its functions check arguments and call the compiled library: -O3 takes longer to compile and gains nothing.
  target_compile_options(nadaraya_c PRIVATE "$<$<CONFIG:Release>:-O2>")
  target_compile_definitions(nadaraya_c PRIVATE NADARAYA_C_EXPORTS)
  # Before 1.0, minor versions are not compatible with each other.
  set_target_properties(nadaraya_c PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME c
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  set(exports "${CMAKE_CURRENT_LIST_DIR}/nadaraya_c.map")
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_LINK_OPTIONS "-Wl,--version-script=${exports}")
  check_cxx_source_compiles("int main() {}" NADARAYA_VERSION_SCRIPT)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  if(NADARAYA_VERSION_SCRIPT)
    target_link_options(nadaraya_c PRIVATE "-Wl,--version-script=${exports}")
    set_target_properties(nadaraya_c PROPERTIES LINK_DEPENDS "${exports}")
  endif()
endif()
