# Headers, the compiled library, the CMake package and the pkg-config files. Every path in them is relative: the tree can be
# moved. Without the compiled library nothing depends on the machine, and all goes under include/ and share/.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")
set(installed_targets nadaraya)
if(NADARAYA_BUILD_COMPILED)
  set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/nadaraya")
  set(any_machine "")
  list(APPEND installed_targets nadaraya_compiled)
else()
  set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/nadaraya")
  set(any_machine ARCH_INDEPENDENT)
endif()

target_include_directories(nadaraya INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/include/nadaraya"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")

install(TARGETS ${installed_targets} EXPORT nadarayaTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT nadarayaTargets NAMESPACE nadaraya:: DESTINATION "${package_dir}")

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
