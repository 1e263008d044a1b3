-- Builds the checkout it lies in.
package("nadaraya")
    set_description("Kernel-regression attention operators: exact sparse attention on the CPU")
    set_license("MIT")
    set_sourcedir(path.join(os.scriptdir(), "..", "..", "..", "..", "..", ".."))

    add_versions("0.1.0", "")
    add_configs("compiled", {description = "The engine for float and double in a static library.", default = false, type = "boolean"})
    add_configs("c_interface", {description = "The C interface in a library of its own.", default = false, type = "boolean"})
    add_deps("cmake", "eigen >=3.4")

    on_load(function (package)
        if package:config("c_interface") then
            package:add("links", "nadaraya_c", "nadaraya_compiled")
            package:add("defines", "NADARAYA_COMPILED")
        elseif package:config("compiled") then
            package:add("links", "nadaraya_compiled")
            package:add("defines", "NADARAYA_COMPILED")
        else
            package:set("kind", "library", {headeronly = true})
        end
    end)

    on_install(function (package)
        local compiled = package:config("compiled") or package:config("c_interface")
        import("package.tools.cmake").install(package, {
            "-DNADARAYA_BUILD_TESTS=OFF",
            "-DNADARAYA_BUILD_EXAMPLES=OFF",
            "-DNADARAYA_BUILD_BENCH=OFF",
            "-DNADARAYA_BUILD_COMPILED=" .. (compiled and "ON" or "OFF"),
            "-DNADARAYA_BUILD_C=" .. (package:config("c_interface") and "ON" or "OFF"),
            "-DBUILD_SHARED_LIBS=" .. (package:config("shared") and "ON" or "OFF")
        })
    end)

    on_test(function (package)
        assert(package:check_cxxsnippets({test = [[
            #include <nadaraya/nadaraya.hpp>
            void test(const Eigen::MatrixXf& q) {
                const Eigen::MatrixXf out = nadaraya::attend(nadaraya::Biweight{}, nadaraya::Adaptive{}, q, q, q);
                (void)out;
            }
        ]]}, {configs = {languages = "c++20"}}))
    end)
package_end()
