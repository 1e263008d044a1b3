include("${CMAKE_CURRENT_LIST_DIR}/WriteIfChanged.cmake")

# nadaraya_snippets(<folder> <result variable> <markdown files>...)
#
# Writes every ```cpp block of the files into one source, <folder>/snippets.cpp, so that all of them together cost one
# compilation; compiler messages point into the markdown. The blocks of a page share a namespace:
#   - a block with a main function is a program. The result is the list of them, as <page>_<number of its block>. The source's
#     own main runs the one it is given, and <folder>/<program>.cpp holds it alone. A ```text block right behind it is what it
#     prints, <folder>/<program>.txt.
#   - a block after the line <!-- snippet: body --> is the body of a function that has matrices to work on, and is not run;
#   - any other block is declarations.
function(nadaraya_snippets folder result)
  set(includes "#include <nadaraya/nadaraya.hpp>\n")
  set(pages "")
  set(calls "")
  set(programs "")
  foreach(markdown IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${markdown}")
    get_filename_component(name "${markdown}" NAME_WE)
    get_filename_component(above "${markdown}" DIRECTORY)
    get_filename_component(above "${above}" NAME)
    string(TOLOWER "${name}" page)
    if(page STREQUAL readme AND above STREQUAL guide)
      set(page guide)
    endif()
    string(APPEND pages "namespace page_${page} {\nusing namespace nadaraya;\nusing Eigen::MatrixXf;\n")

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
      math(EXPR count "${count} + 1")
      set(label "${page}_${count}")

      # Headers go before every namespace; their lines stay, empty.
      string(REGEX MATCHALL "#include [^\n]*\n" headers "${code}")
      foreach(header IN LISTS headers)
        string(APPEND includes "${header}")
      endforeach()
      string(REGEX REPLACE "#include [^\n]*\n" "\n" inner "${code}")
      set(inner "#line ${line} \"${markdown}\"\n${inner}")

      if(code MATCHES "int main\\(\\)")
        list(APPEND programs "${label}")
        write_if_changed("${folder}/${label}.cpp" "#line ${line} \"${markdown}\"\n${code}")
        if(text MATCHES "^\n```text\n")
          string(SUBSTRING "${text}" 9 -1 output)
          string(FIND "${output}" "```" end)
          string(SUBSTRING "${output}" 0 ${end} output)
          write_if_changed("${folder}/${label}.txt" "${output}")
        endif()
        # A main function may do without a return.
        string(REPLACE "int main()" "int program()" inner "${inner}")
        string(REGEX REPLACE "}\n$" "return 0;}\n" inner "${inner}")
        string(APPEND pages "namespace program_${count} {\nint program();\n${inner}}\n")
        string(APPEND calls "  if (name == \"${label}\") return page_${page}::program_${count}::program();\n")
      elseif(before MATCHES "<!-- snippet: body -->[ \n]*$")
        set(arguments "")
        foreach(argument Q K V X Y Xq)
          string(APPEND arguments ", [[maybe_unused]] const MatrixXf& ${argument}")
        endforeach()
        string(SUBSTRING "${arguments}" 2 -1 arguments)
        string(APPEND pages "void body_${count}(${arguments});\nvoid body_${count}(${arguments}) {\n${inner}}\n")
      else()
        string(APPEND pages "${inner}")
      endif()

      string(REGEX REPLACE "[^\n]" "" newlines "${code}")
      string(LENGTH "${newlines}" skipped)
      math(EXPR line "${line} + ${skipped}")
    endwhile()
    string(APPEND pages "}\n")
  endforeach()
  write_if_changed("${folder}/snippets.cpp" "${includes}#include <string_view>\n${pages}
int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : \"\";
${calls}  return 2;
}
")
  set(${result} "${programs}" PARENT_SCOPE)
endfunction()
