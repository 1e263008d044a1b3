include("${CMAKE_CURRENT_LIST_DIR}/WriteIfChanged.cmake")

# nadaraya_snippets(<markdown file> <folder> <result variable>)
#
# Writes every ```cpp block of the file as a source of its own into the folder, and sets the result
# to the list of sources. A ```text block right behind one is written beside it, as .txt: the output of its
# program. A block is a whole translation unit, unless this line stands before it:
#
#   <!-- snippet: body -->
#
# Such a block becomes the body of a function that has matrices to work on.
function(nadaraya_snippets markdown folder result)
  set(sources "")
  set(${result} "" PARENT_SCOPE)
  if(NOT EXISTS "${markdown}")
    return()
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${markdown}")
  get_filename_component(name "${markdown}" NAME_WE)
  string(TOLOWER "${name}" name)

  # The text is never used as a list: its semicolons and brackets would split or join it wrongly.
  file(READ "${markdown}" text)
  set(line 1)
  set(count 0)
  while(TRUE)
    string(FIND "${text}" "```cpp\n" begin)
    if(begin EQUAL -1)
      break()
    endif()
    string(SUBSTRING "${text}" 0 ${begin} before)
    math(EXPR begin "${begin} + 7")
    string(SUBSTRING "${text}" ${begin} -1 text)
    string(FIND "${text}" "\n```" end)
    if(end EQUAL -1)
      message(FATAL_ERROR "${markdown}: a cpp block is not closed")
    endif()
    math(EXPR end "${end} + 1")
    string(SUBSTRING "${text}" 0 ${end} code)
    math(EXPR end "${end} + 3")
    string(SUBSTRING "${text}" ${end} -1 text)

    string(REGEX REPLACE "[^\n]" "" newlines "${before}")
    string(LENGTH "${newlines}" skipped)
    math(EXPR line "${line} + ${skipped} + 1")

    # Compiler messages point into the markdown file.
    set(source "#line ${line} \"${markdown}\"\n${code}")
    if(before MATCHES "<!-- snippet: body -->[ \n]*$")
      set(source "#include <nadaraya/nadaraya.hpp>

using namespace nadaraya;
using Eigen::MatrixXf;

void snippet(const MatrixXf& Q, const MatrixXf& K, const MatrixXf& V, const MatrixXf& X, const MatrixXf& Y,
             const MatrixXf& Xq);
void snippet([[maybe_unused]] const MatrixXf& Q, [[maybe_unused]] const MatrixXf& K,
             [[maybe_unused]] const MatrixXf& V, [[maybe_unused]] const MatrixXf& X,
             [[maybe_unused]] const MatrixXf& Y, [[maybe_unused]] const MatrixXf& Xq) {
${source}}
")
    endif()

    math(EXPR count "${count} + 1")
    set(file "${folder}/${name}_${count}.cpp")
    write_if_changed("${file}" "${source}")
    list(APPEND sources "${file}")

    # What the program prints stands in a text block right behind it.
    if(text MATCHES "^\n```text\n")
      string(SUBSTRING "${text}" 9 -1 output)
      string(FIND "${output}" "```" end)
      string(SUBSTRING "${output}" 0 ${end} output)
      write_if_changed("${folder}/${name}_${count}.txt" "${output}")
    endif()

    string(REGEX REPLACE "[^\n]" "" newlines "${code}")
    string(LENGTH "${newlines}" skipped)
    math(EXPR line "${line} + ${skipped}")
  endwhile()
  set(${result} "${sources}" PARENT_SCOPE)
endfunction()
