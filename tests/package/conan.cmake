# Included by case.cmake: the Conan recipe packages the headers, and its test package uses them. Eigen is the system's, by
# Conan's [platform_requires], so that no remote is asked.
find_python_tool(conan conan "conan>=2.4,<3")
if(NOT conan)
  return()
endif()
set(config "${Eigen3_DIR}/Eigen3ConfigVersion.cmake")
if(NOT EXISTS "${config}")
  message("skipped: the version of Eigen is unknown")
  return()
endif()
include("${config}")

set(ENV{CONAN_HOME} "${WORK}/conan")
set(ENV{CXX} "${COMPILER}")
run("${conan}" profile detect)
execute_process(COMMAND "${conan}" profile path default OUTPUT_VARIABLE profile OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(APPEND "${profile}" "\n[platform_requires]\neigen/${PACKAGE_VERSION}\n")
copy_library()
run("${conan}" create "${WORK}/source tree/cmake/packaging/conan" --no-remote -s compiler.cppstd=20 -s build_type=Debug
  -s:b compiler.cppstd=20 -c "tools.cmake.cmaketoolchain:extra_variables={'Eigen3_DIR': '${Eigen3_DIR}'}")
