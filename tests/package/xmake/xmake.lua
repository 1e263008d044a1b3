-- A project that uses the recipe of cmake/packaging/xmake.
set_languages("c++20")
add_repositories("system system", "nadaraya source/cmake/packaging/xmake")
add_requires("nadaraya")

target("consumer")
    set_kind("binary")
    add_files("main.cpp")
    add_packages("nadaraya")
