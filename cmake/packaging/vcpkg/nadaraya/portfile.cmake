# An overlay port, which builds the checkout it lies in.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS options
  FEATURES
    compiled NADARAYA_BUILD_COMPILED
    c NADARAYA_BUILD_C)
set(config_path lib/cmake/nadaraya)
if(NOT "compiled" IN_LIST FEATURES)
  # Headers alone.
  set(VCPKG_BUILD_TYPE release)
  set(config_path share/cmake/nadaraya)
endif()

vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DNADARAYA_BUILD_TESTS=OFF
    -DNADARAYA_BUILD_EXAMPLES=OFF
    -DNADARAYA_BUILD_BENCH=OFF
    ${options})
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH "${config_path}")
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
if(NOT "compiled" IN_LIST FEATURES)
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib")
endif()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
