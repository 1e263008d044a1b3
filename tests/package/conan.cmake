# Included by case.cmake: the Conan recipe packages the headers, and its test package uses them. Eigen is the system's, by
# Conan's [platform_requires], so that no remote is asked. Conan itself is installed into a folder of the test where it is
# missing and the network is not.
find_program(conan conan)
if(NOT conan)
  find_program(python NAMES python3 python)
  if(python)
    execute_process(COMMAND "${python}" -m venv "${WORK}/python" RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(result EQUAL 0)
      execute_process(COMMAND "${WORK}/python/bin/pip" install --quiet --disable-pip-version-check --retries 0 --timeout 10
        "conan>=2.4,<3" RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET TIMEOUT 120)
    endif()
  endif()
  find_program(conan conan PATHS "${WORK}/python/bin" NO_DEFAULT_PATH)
endif()
if(NOT conan)
  message("skipped: there is no conan here, and none could be installed")
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
