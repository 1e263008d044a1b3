# Uses the library in one way, CASE, from the empty folder WORK, and runs the program it gets. A case <name>_compiled is
# <name> with the compiled library instead of the headers alone.
cmake_minimum_required(VERSION 3.20)
set(library nadaraya)
set(target nadaraya::nadaraya)
if(CASE MATCHES "^(.*)_compiled$")
  set(CASE "${CMAKE_MATCH_1}")
  set(library nadaraya_compiled)
  set(target nadaraya::compiled)
endif()
set(main "${CMAKE_CURRENT_LIST_DIR}/main.cpp")
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
# Installing must not follow the caller's staging folder.
unset(ENV{DESTDIR})

# run(<command>...): fails the test with the command's output unless it succeeds.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "failed (${result}): ${command}\n${output}")
  endif()
endfunction()

# Compiles main.cpp by hand, as the makefile of a user without CMake would.
function(compile_by_hand)
  set(flags -std=c++20 -O1 "-I${SOURCE}/include")
  foreach(folder IN LISTS EIGEN)
    list(APPEND flags -isystem "${folder}")
  endforeach()
  run("${COMPILER}" ${flags} ${ARGN} "${main}" -o "${WORK}/consumer")
  run("${WORK}/consumer")
endfunction()

# Configures, builds and runs the project in the folder named like the case.
function(build_project)
  run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/${CASE}" -B "${WORK}/build" -G "${GENERATOR}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCONSUMER_MAIN=${main}" "-DCONSUMER_LIBRARY=${target}"
    "-DEigen3_DIR=${Eigen3_DIR}" ${ARGN})
  run("${CMAKE_COMMAND}" --build "${WORK}/build" --config Release)
  find_program(consumer consumer PATHS "${WORK}/build" "${WORK}/build/Release" NO_DEFAULT_PATH REQUIRED)
  run("${consumer}")
endfunction()

# Installs, then moves the tree, which must hold no absolute path of its first place.
function(install_library)
  run("${CMAKE_COMMAND}" --install "${BUILD}" --config Release --prefix "${WORK}/first place")
  file(RENAME "${WORK}/first place" "${WORK}/prefix")
endfunction()

# The files that a source archive of the library alone needs.
function(copy_library)
  file(COPY "${SOURCE}/CMakeLists.txt" "${SOURCE}/cmake" "${SOURCE}/include"
    DESTINATION "${WORK}/source tree")
endfunction()

if(CASE STREQUAL "plain")
  compile_by_hand()
elseif(CASE STREQUAL "no_exceptions")
  compile_by_hand(-fno-exceptions -fno-rtti)
elseif(CASE STREQUAL "add_subdirectory" OR CASE STREQUAL "fetch_content")
  copy_library()
  build_project("-DNADARAYA_SOURCE=${WORK}/source tree")
elseif(CASE STREQUAL "find_package")
  install_library()
  build_project("-DCMAKE_PREFIX_PATH=${WORK}/prefix" "-DNADARAYA_EXPECTED=${VERSION}")
elseif(CASE STREQUAL "pkg_config")
  find_program(pkg_config pkg-config)
  if(NOT pkg_config)
    message("skipped: there is no pkg-config here")
    return()
  endif()
  install_library()
  file(GLOB pkgconfig_folders "${WORK}/prefix/share/pkgconfig" "${WORK}/prefix/lib*/pkgconfig"
    "${WORK}/prefix/lib/*/pkgconfig")
  list(JOIN pkgconfig_folders ":" pkgconfig_path)
  set(ENV{PKG_CONFIG_PATH} "${pkgconfig_path}")
  run("${pkg_config}" --exact-version "${VERSION}" ${library})
  # The shell takes away the quoting that pkg-config puts around spaces.
  execute_process(COMMAND "${pkg_config}" --cflags ${library} OUTPUT_VARIABLE cflags OUTPUT_STRIP_TRAILING_WHITESPACE)
  execute_process(COMMAND "${pkg_config}" --libs ${library} OUTPUT_VARIABLE libs OUTPUT_STRIP_TRAILING_WHITESPACE)
  run(sh -c "'${COMPILER}' -std=c++20 -O1 ${cflags} '${main}' ${libs} -o '${WORK}/consumer'")
  run("${WORK}/consumer")
else()
  message(FATAL_ERROR "unknown case: ${CASE}")
endif()
