# Included by case.cmake: the xmake recipe packages the headers, and a project uses them. Eigen and CMake are the system's, by
# recipes of the test's own, so that no remote is asked.
find_python_tool(xmake xmake xmake-wheel)
if(NOT xmake)
  return()
endif()
copy_library()
file(COPY "${CMAKE_CURRENT_LIST_DIR}/xmake/" DESTINATION "${WORK}/project")
# add_repositories takes no path with a space.
file(RENAME "${WORK}/source tree" "${WORK}/project/source")
file(COPY "${main}" DESTINATION "${WORK}/project")
# Settings and packages lie under the first two.
set(ENV{HOME} "${WORK}/home")
set(ENV{XMAKE_GLOBALDIR} "${WORK}/home")
set(ENV{XMAKE_ROOT} y)
set(ENV{EIGEN} "${EIGEN}")
file(MAKE_DIRECTORY "${WORK}/home")
run("${CMAKE_COMMAND}" -E chdir "${WORK}/project" "${xmake}" global --network=private)
run("${CMAKE_COMMAND}" -E chdir "${WORK}/project" "${xmake}" config --yes --verbose)
run("${CMAKE_COMMAND}" -E chdir "${WORK}/project" "${xmake}" build)
run("${CMAKE_COMMAND}" -E chdir "${WORK}/project" "${xmake}" run consumer)
