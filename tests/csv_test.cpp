// Comma-separated values: cells, lines and marks as spreadsheets, R and pandas write them.
#include "examples/support/csv.hpp"

#include "tests/support/catch.hpp"

#include <string>
#include <vector>

namespace {

using Cells = std::vector<std::string>;

std::vector<Cells> cells(const std::string& text) {
  std::vector<Cells> result;
  for (const csv::Row& row : csv::parse(text, "f")) result.push_back(row.cells);
  return result;
}

std::vector<std::size_t> lines(const std::string& text) {
  std::vector<std::size_t> result;
  for (const csv::Row& row : csv::parse(text, "f")) result.push_back(row.line);
  return result;
}

}  // namespace

TEST_CASE("cells are read with any line ends, quotation marks and byte-order mark", "[csv]") {
  const std::vector<Cells> expected = {{"a", "b"}, {"1", "2"}};
  for (const std::string text : {"a,b\n1,2\n", "a,b\n1,2", "a,b\r\n1,2\r\n", "a,b\r1,2\r", "\xef\xbb\xbf" "a,b\n1,2\n", "\"a\",\"b\"\n1,\"2\"\n",
                                 "\n\na,b\n\n1,2\n\n", " a , b \n\t1,2 \n", "# a \"comment\" of one ' mark\"\na,b\n#\n1,2\n", "\xef\xbb\xbf#c\n\"a\",b\r\n1,2"}) {
    INFO(text);
    REQUIRE(cells(text) == expected);
  }
  REQUIRE(cells("").empty());
  REQUIRE(cells("\xef\xbb\xbf").empty());
  REQUIRE(cells(",\n") == std::vector<Cells>{{"", ""}});
  REQUIRE(cells("\"\",x\n") == std::vector<Cells>{{"", "x"}});
  REQUIRE(cells("\"a, \"\"b\"\"\n#c\",' d`\n") == std::vector<Cells>{{"a, \"b\"\n#c", "' d`"}});
  REQUIRE(cells("1,2,3\n4\n") == std::vector<Cells>{{"1", "2", "3"}, {"4"}});
}

TEST_CASE("rows know the line where they begin", "[csv]") {
  REQUIRE(lines("a,b\n# c\n\n1,\"x\ny\"\r\n2,3") == std::vector<std::size_t>{1, 4, 6});
  REQUIRE(lines("a\rb\r\nc") == std::vector<std::size_t>{1, 2, 3});
}

TEST_CASE("quotation marks that are not around cells, and UTF-16, are refused", "[csv]") {
  REQUIRE_THROWS_WITH(csv::parse("a,b\n5\" tube,1\n", "--data f"), "--data f: line 2: its quotation marks are not those of a CSV file");
  REQUIRE_THROWS_WITH(csv::parse("a,b\n1,\"2\n", "--data f"), catch_shim::contains("its quotation marks"));
  REQUIRE_THROWS_WITH(csv::parse("\"a\"b,1\n", "--data f"), catch_shim::contains("line 1: its quotation marks"));
  REQUIRE_THROWS_WITH(csv::parse(std::string("\xff\xfe" "a\0", 4), "--data f"), "--data f: it is UTF-16; save it as UTF-8");
}
