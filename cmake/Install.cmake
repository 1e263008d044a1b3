# Headers, the compiled library, the CMake package and the pkg-config files. Every path in them is relative: the tree can be
# moved. Without the compiled libraries nothing depends on the machine, and all goes under include/ and share/.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
set(installed_targets nadaraya)
if(NADARAYA_BUILD_COMPILED)
  list(APPEND installed_targets nadaraya_compiled)
endif()
set(c_kind "")
if(NADARAYA_BUILD_C)
  get_target_property(c_kind nadaraya_c TYPE)
  if(c_kind STREQUAL STATIC_LIBRARY AND NOT NADARAYA_BUILD_COMPILED)
    message(FATAL_ERROR "nadaraya::c is static, and whoever links it needs nadaraya::compiled: set NADARAYA_BUILD_COMPILED")
  endif()
endif()
if(NADARAYA_BUILD_COMPILED OR NADARAYA_BUILD_C)
  set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/nadaraya")
  set(any_machine "")
else()
  set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/nadaraya")
  set(any_machine ARCH_INDEPENDENT)
endif()

target_include_directories(nadaraya INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/include/nadaraya"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp" PATTERN "*.h")

install(TARGETS ${installed_targets} EXPORT nadarayaTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT nadarayaTargets NAMESPACE nadaraya:: DESTINATION "${package_dir}")
# In an export of its own: as a shared library it needs no Eigen.
if(NADARAYA_BUILD_C)
  target_include_directories(nadaraya_c INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  install(TARGETS nadaraya_c EXPORT nadarayaCTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(EXPORT nadarayaCTargets NAMESPACE nadaraya:: DESTINATION "${package_dir}")
endif()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/nadarayaConfig.cmake.in"
  "${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfig.cmake"
  INSTALL_DESTINATION "${package_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion
  ${any_machine})
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfigVersion.cmake"
  DESTINATION "${package_dir}")

# install_pkgconfig(<name> <folder>)
function(install_pkgconfig name folder)
  file(RELATIVE_PATH pc_to_include "${CMAKE_INSTALL_PREFIX}/${folder}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
  file(RELATIVE_PATH pc_to_lib "${CMAKE_INSTALL_PREFIX}/${folder}" "${CMAKE_INSTALL_FULL_LIBDIR}")
  configure_file("${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${name}.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" DESTINATION "${folder}")
endfunction()
install_pkgconfig(nadaraya "${pkgconfig_dir}")
if(NADARAYA_BUILD_COMPILED)
  install_pkgconfig(nadaraya_compiled "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
if(NADARAYA_BUILD_C)
  # Whoever links the static library links all it needs.
  set(c_libraries "")
  if(c_kind STREQUAL STATIC_LIBRARY)
    set(c_libraries " -lnadaraya_compiled")
    foreach(library IN LISTS CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
      if(NOT library MATCHES "^(gcc|gcc_s|c|-.*|/.*)$")
        string(APPEND c_libraries " -l${library}")
      endif()
    endforeach()
  endif()
  install_pkgconfig(nadaraya_c "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
