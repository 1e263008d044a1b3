import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout


class TestPackage(ConanFile):
    settings = "os", "arch", "compiler", "build_type"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        options = self.dependencies["nadaraya"].options
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["COMPILED"] = str(options.get_safe("compiled") or options.get_safe("c_interface"))
        toolchain.cache_variables["C_INTERFACE"] = str(options.get_safe("c_interface"))
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def test(self):
        if can_run(self):
            for program in ("attention", "c_interface"):
                path = os.path.join(self.cpp.build.bindir, program)
                if os.path.exists(path) or os.path.exists(path + ".exe"):
                    self.run(path, env="conanrun")
