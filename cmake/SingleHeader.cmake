# cmake -DINCLUDE=<include folder> -DOUTPUT=<file> -P SingleHeader.cmake
#
# Writes all headers that nadaraya.hpp includes as one file, which needs only Eigen: every #include "nadaraya/..."
# is replaced by the file it names, at its first place where that begins with #pragma once, everywhere otherwise (the loops
# are included once for each vector tier).
cmake_policy(VERSION 3.20)

set_property(GLOBAL PROPERTY seen "")

# expand(<header> <result variable>): the text of a header, its includes replaced. Never used as a list: its semicolons and
# brackets would split or join it wrongly.
function(expand header result)
  file(READ "${INCLUDE}/${header}" text)
  if(text MATCHES "#pragma once\n")
    get_property(seen GLOBAL PROPERTY seen)
    if(header IN_LIST seen)
      set(${result} "" PARENT_SCOPE)
      return()
    endif()
    set_property(GLOBAL APPEND PROPERTY seen "${header}")
    string(REPLACE "#pragma once\n" "" text "${text}")
  endif()
  set(expanded "")
  while(TRUE)
    string(FIND "${text}" "#include \"nadaraya/" begin)
    if(begin EQUAL -1)
      break()
    endif()
    string(SUBSTRING "${text}" 0 ${begin} before)
    string(SUBSTRING "${text}" ${begin} -1 text)
    string(FIND "${text}" "\n" end)
    string(SUBSTRING "${text}" 0 ${end} line)
    string(SUBSTRING "${text}" ${end} -1 text)
    string(REGEX REPLACE "#include \"(.*)\".*" "\\1" included "${line}")
    expand("${included}" inner)
    string(APPEND expanded "${before}${inner}")
  endwhile()
  set(${result} "${expanded}${text}" PARENT_SCOPE)
endfunction()

expand("nadaraya/nadaraya.hpp" all)
string(REGEX REPLACE "\n\n\n+" "\n\n" all "${all}")
file(STRINGS "${INCLUDE}/nadaraya/version.hpp" version REGEX "#define NADARAYA_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
list(TRANSFORM version REPLACE "[^0-9]+" "")
list(JOIN version "." version)
file(READ "${INCLUDE}/../LICENSE" license)
string(REGEX REPLACE "\n" "\n// " license "// ${license}")
string(REGEX REPLACE "// (\n|$)" "//\\1" license "${license}")
file(WRITE "${OUTPUT}" "// nadaraya ${version} in one file, generated from its headers.\n//\n${license}\n#pragma once\n\n${all}")
