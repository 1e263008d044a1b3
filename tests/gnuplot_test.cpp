// Drawing with gnuplot: what a script quotes stays what it is, nothing is executed, and failures are noticed.
#include "examples/support/gnuplot.hpp"

#include "tests/support/program.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

using namespace nadaraya::test;

namespace {

const std::string svg = "set terminal svg size 200,150 noenhanced\n";

/// A folder for PATH in which nothing is installed, while this object lives.
class EmptyPath {
 public:
  EmptyPath() : before_(std::getenv("PATH")) { setenv("PATH", (folder_ / "").c_str(), 1); }
  EmptyPath(const EmptyPath&) = delete;
  EmptyPath& operator=(const EmptyPath&) = delete;
  ~EmptyPath() { setenv("PATH", before_.c_str(), 1); }

 private:
  Folder folder_;
  std::string before_;
};

}  // namespace

TEST_CASE("every number of a script is read back as it was", "[gnuplot]") {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    const double x = std::ldexp(random.normal(), static_cast<int>(random.below(600)) - 300);
    REQUIRE(std::stod(gnuplot::number(x)) == x);
  }
  REQUIRE(gnuplot::number(1700000143.0) == "1700000143");
  REQUIRE(gnuplot::number(std::nan("")) == "nan");
  REQUIRE(gnuplot::number(-std::numeric_limits<double>::max()).size() < 30);
}

TEST_CASE("labels hold printable UTF-8 and nothing else", "[gnuplot]") {
  const auto label = [](const std::string& text) { return gnuplot::label(text); };
  REQUIRE(label("time (ms)") == "\"time (ms)\"");
  REQUIRE(label("a\nb\tc\x7f") == "\"a b c \"");
  REQUIRE(label("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") == "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
  for (const std::string bad : {"\xff", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xc2\x85", "\xef\xbf\xbe"}) {
    REQUIRE(label(bad + "x") == gnuplot::literal(std::string(bad.size(), ' ') + "x"));
  }
  REQUIRE(label("`id`") == "\"\\140id\\140\"");
}

TEST_CASE("gnuplot reads a literal byte for byte, and executes none", "[gnuplot]") {
  if (!installed("gnuplot")) return;
  const Folder folder;
  Random random(7);
  const std::string nasty = "`'\"\\@$#{}|<>;%!\n\r\t abtouch pwned~^_&*\x01\x7f\xc3\xff";
  std::string script = "a = 'INJECTED'\npwned = a\nset print \"out\"\n", expected;
  for (int i = 0; i < 400; ++i) {
    std::string text = i == 0 ? "`touch pwned`" : i == 1 ? "$(touch pwned)" : i == 2 ? "@pwned" : i == 3 ? "'.system(\"touch pwned\").'" : "";
    for (nadaraya::Index n = i < 4 ? 0 : random.below(40); n > 0; --n) {
      text += nasty[static_cast<std::size_t>(random.below(static_cast<nadaraya::Index>(nasty.size())))];
    }
    script += "print " + gnuplot::literal(text) + "\n";
    expected += text + "\n";
  }
  REQUIRE(gnuplot::draw(folder / "", "test.gp", script, {}, "test"));
  REQUIRE(folder.content("out") == expected);
  REQUIRE(!fs::exists(folder / "pwned"));
}

TEST_CASE("gnuplot draws in a folder of any name, texts and outputs of any content", "[gnuplot]") {
  if (!installed("gnuplot")) return;
  for (const std::string& name : hostile_names()) {
    INFO(name);
    const Folder folder;
    fs::create_directory(folder / name);
    const std::string script = svg + "set output " + gnuplot::literal("./" + name + ".svg") + "\nset xlabel " + gnuplot::label(name) +
                               "\nplot x title " + gnuplot::label(name) + "\n";
    REQUIRE(gnuplot::draw(folder / name, "test.gp", script, {name + ".svg"}, "test"));
    const auto files = folder.snapshot();
    REQUIRE(files.size() == 3);
    REQUIRE(files.count(name + "/" + name + ".svg") == 1);
  }
}

TEST_CASE("a settings file of the folder or the user changes nothing", "[gnuplot]") {
  if (!installed("gnuplot")) return;
  const Folder folder;
  folder.put(".gnuplot", "set print 'pwned'\nprint 1\n");
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  setenv("HOME", (folder / "").c_str(), 1);
  const bool drawn = gnuplot::draw(folder / "", "test.gp", svg + "set output \"a.svg\"\nplot x\n", {"a.svg"}, "test");
  setenv("HOME", home.c_str(), 1);
  REQUIRE(drawn);
  REQUIRE(!fs::exists(folder / "pwned"));
}

TEST_CASE("where gnuplot is missing, the script is there to be run elsewhere", "[gnuplot]") {
  const Folder folder;
  const EmptyPath nothing;
  REQUIRE(!gnuplot::draw(folder / "", "test.gp", "plot x\n", {"a.svg"}, "test"));
  REQUIRE(folder.content("test.gp") == "plot x\n");
  REQUIRE(gnuplot::advice("some folder", "test.gp") == "gnuplot is missing (apt-get install gnuplot-nox); then run gnuplot test.gp in some folder");
}

TEST_CASE("a picture that could not be drawn whole is an error", "[gnuplot]") {
  const Folder folder;
  REQUIRE_THROWS_WITH(gnuplot::draw(folder / "missing", "test.gp", "", {}, "--output-dir d"),
                      catch_shim::contains("--output-dir d: test.gp: it cannot be written: No such file or directory"));
  if (!installed("gnuplot")) return;
  REQUIRE_THROWS_WITH(gnuplot::draw(folder / "", "test.gp", "plot nothing_of_this_name\n", {}, "--output-dir d"),
                      catch_shim::contains("--output-dir d: gnuplot failed: \"test.gp\" line 1:"));
  fs::create_directory(folder / "a.svg");
  const std::string script = svg + "set output \"a.svg\"\nplot x\n";
  REQUIRE_THROWS_WITH(gnuplot::draw(folder / "", "test.gp", script, {"a.svg"}, "--output-dir d"), catch_shim::contains("--output-dir d: "));
  fs::remove(folder / "a.svg");
  if (!fs::exists("/dev/full")) return;
  fs::create_symlink("/dev/full", folder / "a.svg");
  REQUIRE_THROWS_WITH(gnuplot::draw(folder / "", "test.gp", script, {"a.svg"}, "--output-dir d"),
                      catch_shim::contains("--output-dir d: a.svg: it cannot be written"));
}
