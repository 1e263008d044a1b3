-- The system's CMake.
package("cmake")
    set_kind("binary")
    add_versions("3.20.0", "")
package_end()
