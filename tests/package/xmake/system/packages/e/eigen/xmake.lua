-- The system's Eigen.
package("eigen")
    set_kind("library", {headeronly = true})
    add_versions("3.4.0", "")
    on_fetch(function (package, opt)
        return {sysincludedirs = os.getenv("EIGEN"), version = "3.4.0"}
    end)
package_end()
