# Builds the checkout it lies in: conan create cmake/packaging/conan --build=missing
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class NadarayaConan(ConanFile):
    name = "nadaraya"
    description = "Kernel-regression attention operators: exact sparse attention on the CPU"
    license = "MIT"
    topics = ("attention", "kernel-regression", "entmax", "sparsemax", "eigen")
    settings = "os", "arch", "compiler", "build_type"
    options = {"compiled": [True, False], "c_interface": [True, False], "shared": [True, False]}
    default_options = {"compiled": False, "c_interface": False, "shared": True}

    @property
    def _checkout(self):
        return os.path.join(self.recipe_folder, "..", "..", "..")

    @property
    def _has_libraries(self):
        return self.options.compiled or self.options.c_interface

    def set_version(self):
        # The version lives in one place, the header.
        header = load(self, os.path.join(self._checkout, "include", "nadaraya", "version.hpp"))
        numbers = [re.search(rf"#define NADARAYA_VERSION_{part} (\d+)", header).group(1) for part in ("MAJOR", "MINOR", "PATCH")]
        self.version = ".".join(numbers)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "include/*", "cmake/*"):
            copy(self, pattern, self._checkout, self.export_sources_folder)

    def configure(self):
        if not self.options.c_interface:
            self.options.rm_safe("shared")
        self.package_type = "library" if self._has_libraries else "header-library"

    def requirements(self):
        self.requires("eigen/[>=3.4.0 <6]", transitive_headers=True)

    def layout(self):
        cmake_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)

    def package_id(self):
        if not (self.info.options.compiled or self.info.options.c_interface):
            self.info.clear()

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCH"):
            toolchain.cache_variables[f"NADARAYA_BUILD_{part}"] = False
        # A static nadaraya_c needs nadaraya_compiled.
        toolchain.cache_variables["NADARAYA_BUILD_COMPILED"] = bool(self._has_libraries)
        toolchain.cache_variables["NADARAYA_BUILD_C"] = bool(self.options.c_interface)
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # CMake finds nadaraya's own package file, which finds Eigen, be it a package of Conan's or the system's.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join(folder, "cmake", "nadaraya") for folder in ("lib", "share")]
        self.cpp_info.bindirs = ["bin"] if self._has_libraries else []
        self.cpp_info.libdirs = ["lib"] if self._has_libraries else []
        if self.options.c_interface:
            self.cpp_info.libs = ["nadaraya_c", "nadaraya_compiled"]
        elif self.options.compiled:
            self.cpp_info.libs = ["nadaraya_compiled"]
        if self._has_libraries:
            self.cpp_info.defines = ["NADARAYA_COMPILED"]
            if self.settings.os in ("Linux", "FreeBSD"):
                self.cpp_info.system_libs = ["m", "pthread"]
