# Included by case.cmake: the staging folder of a distribution holds a -dev package's files at their places, and nothing else.
# Configured anew for /usr and Debian's folders; the libraries are those of the present build, which are not compiled again.
find_program(pkg_config pkg-config)
find_program(dpkg_architecture dpkg-architecture)
set(triplet "x86_64-linux-gnu")
if(dpkg_architecture)
  execute_process(COMMAND "${dpkg_architecture}" -qDEB_HOST_MULTIARCH OUTPUT_VARIABLE triplet OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/build" -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr "-DCMAKE_INSTALL_LIBDIR=lib/${triplet}" "-DEigen3_DIR=${Eigen3_DIR}"
  -DNADARAYA_BUILD_TESTS=OFF -DNADARAYA_BUILD_EXAMPLES=OFF -DNADARAYA_BUILD_BENCH=OFF)
file(GLOB libraries "${BUILD}/libnadaraya_compiled.a" "${BUILD}/libnadaraya_c.*")
file(COPY ${libraries} DESTINATION "${WORK}/build")
set(staging "${WORK}/staging")
set(ENV{DESTDIR} "${staging}")
run("${CMAKE_COMMAND}" --install "${WORK}/build")
unset(ENV{DESTDIR})

file(GLOB_RECURSE installed LIST_DIRECTORIES false RELATIVE "${staging}" "${staging}/*")
string(REGEX REPLACE "^([0-9]+\\.[0-9]+).*" "\\1" abi "${VERSION}")
set(expected usr/share/pkgconfig/nadaraya.pc usr/include/nadaraya/nadaraya.h usr/include/nadaraya/nadaraya.hpp)
foreach(file IN ITEMS libnadaraya_compiled.a libnadaraya_c.so libnadaraya_c.so.${abi} libnadaraya_c.so.${VERSION}
    pkgconfig/nadaraya_compiled.pc pkgconfig/nadaraya_c.pc cmake/nadaraya/nadarayaConfig.cmake
    cmake/nadaraya/nadarayaConfigVersion.cmake cmake/nadaraya/nadarayaTargets.cmake
    cmake/nadaraya/nadarayaTargets-release.cmake cmake/nadaraya/nadarayaCTargets.cmake
    cmake/nadaraya/nadarayaCTargets-release.cmake)
  list(APPEND expected "usr/lib/${triplet}/${file}")
endforeach()
foreach(file IN LISTS expected)
  if(NOT file IN_LIST installed)
    message(SEND_ERROR "missing: ${file}")
  endif()
endforeach()
foreach(file IN LISTS installed)
  if(NOT file IN_LIST expected AND NOT file MATCHES "^usr/include/nadaraya/.*\\.(hpp|ipp|h)$")
    message(SEND_ERROR "at no place of a -dev package: ${file}")
  endif()
  # No text names a folder of the build.
  if(file MATCHES "\\.(cmake|pc|h)$")
    file(READ "${staging}/${file}" text)
    foreach(folder IN ITEMS "${WORK}" "${SOURCE}" "${BUILD}")
      string(FIND "${text}" "${folder}" found)
      if(NOT found EQUAL -1)
        message(SEND_ERROR "${file} names ${folder}")
      endif()
    endforeach()
  endif()
endforeach()

# It can be used from where it lies.
find_program(c_compiler NAMES cc gcc clang)
if(pkg_config AND c_compiler)
  set(library nadaraya_c)
  set(main "${CMAKE_CURRENT_LIST_DIR}/main.c")
  set(compiler "${c_compiler}")
  set(standard -std=c99)
  use_pkg_config("${staging}/usr")
endif()
