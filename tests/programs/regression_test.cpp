// The program regression: the files that it reads, its output and pictures, and its refusals.
#ifdef NADARAYA_REGRESSION

#include "tests/support/program.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace nadaraya::test;

namespace {

Outcome regression(const Folder& folder, const std::vector<std::string>& arguments) {
  return run_program(NADARAYA_REGRESSION, folder, arguments);
}

std::string succeed(const Folder& folder, const std::vector<std::string>& arguments) {
  const Outcome outcome = regression(folder, arguments);
  REQUIRE(outcome.err == "");
  REQUIRE(outcome.exit_code == 0);
  return outcome.out;
}

std::string table(const std::string& text) {
  const Folder folder;
  folder.put("data.csv", text);
  INFO(text.substr(0, 200));
  return succeed(folder, {"--data", "data.csv"});
}

void refused(const std::string& text, const std::string& reason, std::vector<std::string> more = {}) {
  const Folder folder;
  folder.put("data.csv", text);
  more.insert(more.begin(), {"--data", "data.csv"});
  require_refused(NADARAYA_REGRESSION, folder, more, reason);
}

/// A bend with some roughness: twenty rows, each ended by `end`, x at first + i * step.
std::string rows(const std::string& end = "\n", double first = 0, double step = 1, int n = 20) {
  std::ostringstream text;
  text.precision(17);
  for (int i = 0; i < n; ++i) text << first + i * step << ',' << (i * i % 7) * 0.1 + 0.01 * i * (n - i) << end;
  return text.str();
}

/// The bandwidth of each kernel, as printed.
std::vector<std::string> bandwidths(const std::string& out) {
  std::vector<std::string> result;
  std::istringstream lines(out.substr(out.find("mean support")));
  std::string line, kernel, bandwidth;
  std::getline(lines, line);
  while (lines >> kernel >> bandwidth && std::getline(lines, line)) result.push_back(bandwidth);
  return result;
}

}  // namespace

TEST_CASE("a file means the same however its program wrote it", "[program]") {
  const std::string plain = table("a,b\n" + rows());
  REQUIRE_THAT(plain, catch_shim::contains("20 points;"));
  REQUIRE(table(rows()) == plain);
  REQUIRE(table("\"a\",\"b\"\n" + rows()) == plain);
  REQUIRE(table("\xef\xbb\xbf" "a,b\r\n" + rows("\r\n")) == plain);
  REQUIRE(table("\xef\xbb\xbf" + rows("\r")) == plain);
  REQUIRE(table("# a \"comment\n\n a , b \n" + rows(" \n\n")) == plain);
  std::string quoted = rows("\"\n\"");
  std::replace(quoted.begin(), quoted.end(), ',', '|');
  std::string cells;
  for (const char c : "\"" + quoted.substr(0, quoted.size() - 1)) cells += c == '|' ? std::string("\",\"") : std::string(1, c);
  REQUIRE(table(cells) == plain);
  REQUIRE(table("x,y\n+0,0\n" + rows().substr(rows().find('\n') + 1)) == plain);
}

TEST_CASE("a row without a number is left out, counted and named, wherever it lies", "[program]") {
  for (const std::string cell : {"NA", "", "nan", "\"NA\""}) {
    INFO(cell);
    const std::string shown = cell == "\"NA\"" ? "NA" : cell.empty() ? "empty" : cell;
    const std::string first = table("a,b\n" + cell + ",7\n" + rows());
    REQUIRE_THAT(first, catch_shim::contains("20 points;"));
    REQUIRE_THAT(first, catch_shim::contains("left out: 1\n  line 2, a: " + shown + "\n"));
    REQUIRE_THAT(table(rows() + "7," + cell + "\n"), catch_shim::contains("left out: 1\n  line 21, column 2: " + shown + "\n"));
    // Without names the first row is a row.
    REQUIRE_THAT(table(cell + ",7\n" + rows()), catch_shim::contains("left out: 1\n  line 1, column 1: " + shown + "\n"));
  }
  REQUIRE_THAT(table("NA,NA\n" + rows() + "NA,1\n2,NA\n"), catch_shim::contains("left out: 3\n"));
}

TEST_CASE("what is neither a number nor missing is refused by line and column", "[program]") {
  refused("a,b\n" + rows() + "1,high\n", "--data data.csv: line 22, b: \"high\" is no number");
  refused("1,high\n" + rows(), "line 1, column 2: \"high\" is no number");
  refused("year,2020\n" + rows(), "line 1, column 1: \"year\" is no number");
  refused("x,NA\n" + rows(), "line 1, column 1: \"x\" is no number");
  refused("a,b\nc,d\n" + rows(), "line 2, a: \"c\" is no number");
  refused(rows() + "1,inf\n", "\"inf\" is out of range");
  refused(rows() + "1e999,1\n", "\"1e999\" is out of range");
  refused(rows() + "1,0x10\n", "\"0x10\" is no number");
  refused(rows() + "1 2,3\n", "\"1 2\" is no number");
  refused(rows() + "+-1,3\n", "\"+-1\" is no number");
  refused(rows() + "5\n", "line 21: it has 1 cell, and the first row 2");
  refused(rows() + "5,6,7\n", "line 21: it has 3 cells, and the first row 2");
  refused("1;2\n3;4\n5;6\n", "it has one column, and two, separated by commas, are needed");
  refused("1,2,3\n4,5,6\n", "it has 3 columns; choose two with --x and --y");
  refused("t,u,v\n4,5,6\n", "it has 3 columns (t, u, v); choose two with --x and --y");
  refused("", "--data data.csv: it holds no numbers");
  refused("a,b\n", "it has 0 points");
  refused("a,b\n1,2\n2,3\nNA,4\n", "it has 2 points (line 4, a: NA), and at least 3 are needed");
  refused("1,2\n1,3\n1,4\n", "--data data.csv: all points have the same x");
  refused("-1e308,2\n0,1\n1e308,3\n", "--data data.csv: x spans too much");
  refused("1,\"2\n", "its quotation marks");
  refused(std::string("\xff\xfe" "1\0,\0", 6), "it is UTF-16");
}

TEST_CASE("columns are chosen by name or number; names of rows are passed over", "[program]") {
  const std::string plain = table("a,b\n" + rows());
  std::string three = "b,\"c, d\",a\n", named = "\"\",\"a\",\"b\"\n";
  std::istringstream lines(rows());
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t comma = line.find(',');
    three += line.substr(comma + 1) + ",NA," + line.substr(0, comma) + "\n";
    named += "\"" + std::to_string(++number) + "\"," + line + "\n";
  }
  const Folder folder;
  folder.put("three.csv", three);
  REQUIRE(succeed(folder, {"--data", "three.csv", "--x", "a", "--y", "b"}) == plain);
  REQUIRE(succeed(folder, {"--data", "three.csv", "--x", "3", "--y", "1"}) == plain);
  REQUIRE_THAT(table(named), catch_shim::contains("left out: 1\n  the first column, which has no name\n"));
  REQUIRE(bandwidths(table(named)) == bandwidths(plain));
  refused("a,b\n" + rows(), "--x c: --data data.csv has no such column (a, b)", {"--x", "c", "--y", "b"});
  refused("a,b\n" + rows(), "--y 3: --data data.csv has no such column (a, b)", {"--x", "a", "--y", "3"});
  refused("a,b\n" + rows(), "--x and --y go together", {"--x", "a"});
}

TEST_CASE("the regression is that of the numbers, at any offset and in any unit", "[program]") {
  const std::vector<std::string> plain = bandwidths(table(rows("\n", 0, 1, 40)));
  REQUIRE(plain.size() == 5);
  REQUIRE(bandwidths(table(rows("\n", 1700000000, 1, 40))) == plain);
  // Powers of two, so that nothing is rounded and no two errors change places.
  for (const double unit : {0x1p-27, 0x1p-531, 0x1p-996, 0x1p530, 0x1p996}) {
    INFO(unit);
    const std::vector<std::string> scaled = bandwidths(table(rows("\n", 0, unit, 40)));
    REQUIRE(scaled.size() == 5);
    for (std::size_t k = 0; k < 5; ++k) REQUIRE(std::abs(std::stod(scaled[k]) / unit / std::stod(plain[k]) - 1) <= 1e-3);
  }
}

TEST_CASE("a lone point leaves out the kernels that reach no other, and says so", "[program]") {
  const std::string out = table("0,1\n0,2\n0,3\n1,4\n");
  for (const std::string kernel : {"uniform", "Epanechnikov", "biweight", "triweight"}) {
    std::string line = kernel;
    line.resize(13, ' ');
    REQUIRE_THAT(out, catch_shim::contains(line + " left out: at each candidate some point has no other within the bandwidth\n"));
  }
  REQUIRE_THAT(out, !catch_shim::contains("Gaussian      left out"));
  REQUIRE_THAT(out, catch_shim::contains("Gaussian"));
}

TEST_CASE("the picture holds every point in full, and names of columns as they are", "[program]") {
  if (!installed("gnuplot")) return;
  const Folder folder;
  folder.put("times.csv", "\"`touch pwned`\",\"a_b {/Bold c}^2 'd' <&> \"\"q\"\" @x \\ $(touch pwned)\ne\"\n" + rows("\n", 1700000000, 1, 144));
  succeed(folder, {"--data", "times.csv", "--output-dir", "out"});
  std::set<std::string> places;
  const std::string script = folder.content("out/regression.gp");
  std::istringstream lines(script.substr(script.find("EOD\n") + 4));
  for (std::string line; std::getline(lines, line) && line != "EOD";) places.insert(line.substr(0, line.find(' ')));
  REQUIRE(places.size() == 144);
  REQUIRE(places.count("1700000143") == 1);
  const std::string svg = folder.content("out/times.svg");
  REQUIRE_THAT(svg, catch_shim::contains("<text>`touch pwned`</text>"));
  REQUIRE_THAT(svg, catch_shim::contains("<text>a_b {/Bold c}^2 'd' &lt;&amp;> \"q\" @x \\ $(touch pwned) e</text>"));
  REQUIRE_THAT(svg, catch_shim::contains(">1700000100<"));
  REQUIRE(folder.snapshot().size() == 5);  // the data, the folder, the script and two pictures
}

TEST_CASE("files and folders may have any name", "[program]") {
  if (!installed("gnuplot")) return;
  for (const std::string name : {"it's", "`touch pwned`", "|touch pwned", "new\nline \"@x\" {a}_2 $(touch pwned)"}) {
    INFO(name);
    const Folder folder;
    folder.put(name + ".csv", "0,1\n1,2\n2,2\n3,1\n");
    succeed(folder, {"--data=" + name + ".csv", "--output-dir=" + name});
    REQUIRE(fs::file_size(folder / (name + "/" + name + ".svg")) > 1000);
    REQUIRE(fs::file_size(folder / (name + "/" + name + ".png")) > 1000);
    REQUIRE(folder.snapshot().size() == 5);
  }
}

TEST_CASE("the program names the option and the file that it cannot use", "[program]") {
  const Folder folder;
  folder.put("data.csv", rows());
  fs::create_directory(folder / "folder");
  const auto refuse = [&](const std::vector<std::string>& arguments, const std::string& reason, const std::string& out = "") {
    require_refused(NADARAYA_REGRESSION, folder, arguments, reason, out);
  };
  refuse({}, "--data is required");
  refuse({"--data", "missing.csv"}, "--data missing.csv: it cannot be opened: No such file or directory");
  refuse({"--data", "missing\n.csv"}, "--data missing .csv: it cannot be opened");
  refuse({"--data", ""}, "--data : it cannot be opened");
  refuse({"--data", "folder"}, "--data folder: it cannot be read: Is a directory");
  refuse({"--data", "data.csv/x"}, "--data data.csv/x: it cannot be opened: Not a directory");
  refuse({"--data", "data.csv", "--output-dir", "data.csv"}, "--output-dir data.csv: it cannot be made, or is no folder");
  refuse({"--data", "data.csv", "--output-dir", "data.csv/below"}, "--output-dir data.csv/below: it cannot be made, or is no folder: Not a directory");
  refuse({"--data", "data.csv", "--output-dir", ""}, "--output-dir : it cannot be made");
  if (fs::exists("/dev/full")) {
    refuse({"--data", "data.csv"}, "standard output cannot be written", "/dev/full");
    refuse({"--help"}, "standard output cannot be written", "/dev/full");
  }
  fs::create_directories(folder / "blocked/regression.gp");
  refuse({"--data", "data.csv", "--output-dir", "blocked"}, "--output-dir blocked: regression.gp: it cannot be written");
  const std::string path = std::getenv("PATH");
  setenv("PATH", (folder / "folder").c_str(), 1);
  const Outcome outcome = regression(folder, {"--data", "data.csv", "--output-dir", "out"});
  setenv("PATH", path.c_str(), 1);
  REQUIRE(outcome.exit_code == 2);
  REQUIRE(outcome.err == "regression: --output-dir out: gnuplot is missing (apt-get install gnuplot-nox); then run gnuplot regression.gp in out\n");
  REQUIRE(fs::exists(folder / "out/regression.gp"));
}

#endif
