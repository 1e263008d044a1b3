# nadaraya::compiled: the headers with the engine for float and double in a static library, so that a user's files do not
# compile it. For each scalar one translation unit for the engine and one for the built-in policies, and one
# for the thread pool.
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
set(source "${CMAKE_CURRENT_BINARY_DIR}/compiled/thread_pool.cpp")
write_if_changed("${source}" "#include \"nadaraya/compiled/thread_pool_source.ipp\"\n")
list(APPEND compiled_sources "${source}")

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
