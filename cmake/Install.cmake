# Headers, the CMake package and the pkg-config file. Nothing installed depends on the machine, so
# all of it goes under include/ and share/, and every path in it is relative: the tree can be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/nadaraya")
set(pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")

target_include_directories(nadaraya INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/include/nadaraya"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")

install(TARGETS nadaraya EXPORT nadarayaTargets)
install(EXPORT nadarayaTargets NAMESPACE nadaraya:: DESTINATION "${package_dir}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/nadarayaConfig.cmake.in"
  "${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfig.cmake"
  INSTALL_DESTINATION "${package_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion
  ARCH_INDEPENDENT)
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/nadarayaConfigVersion.cmake"
  DESTINATION "${package_dir}")

file(RELATIVE_PATH pc_to_include
  "${CMAKE_INSTALL_PREFIX}/${pkgconfig_dir}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/nadaraya.pc.in"
  "${CMAKE_CURRENT_BINARY_DIR}/nadaraya.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/nadaraya.pc" DESTINATION "${pkgconfig_dir}")
