// The program text_memory: its files, and what it refuses.
#ifdef NADARAYA_TEXT_MEMORY

#include "tests/support/program.hpp"

#include <string>
#include <vector>

using namespace nadaraya::test;

namespace {

std::string text() {
  std::string result;
  for (int i = 0; i < 400; ++i) result += "the cat sat on a mat. "[i * i % 22];
  return result;
}

const std::vector<std::string> small = {"--memory=300", "--validation=2", "--test=2", "--text=text"};

std::vector<std::string> with(std::vector<std::string> more) {
  more.insert(more.begin(), small.begin(), small.end());
  return more;
}

}  // namespace

TEST_CASE("the picture is drawn in a folder of any name", "[program]") {
  for (const std::string name : {"Shakespeare's", "x'; touch pwned; '", "`touch pwned`\n$(touch pwned)", "-x"}) {
    INFO(name);
    const Folder folder;
    folder.put("text", text());
    const Outcome outcome = run_program(NADARAYA_TEXT_MEMORY, folder, with({"--output-dir=" + name}));
    REQUIRE(outcome.err == "");
    REQUIRE(outcome.exit_code == 0);
    if (installed("gnuplot")) {
      REQUIRE_THAT(outcome.out, catch_shim::contains("\npicture: " + name + "/attention.svg\n"));
      REQUIRE(fs::file_size(folder / (name + "/attention.svg")) > 1000);
    }
    REQUIRE(folder.snapshot().size() == (installed("gnuplot") ? 8u : 7u));
  }
}

TEST_CASE("text_memory names the option and the file that it cannot use", "[program]") {
  const Folder folder;
  folder.put("text", text());
  fs::create_directory(folder / "folder");
  const auto refuse = [&](const std::vector<std::string>& more, const std::string& reason, const std::string& out = "") {
    require_refused(NADARAYA_TEXT_MEMORY, folder, more, reason, out);
  };
  refuse({"--text", "missing"}, "--text missing: it cannot be opened: No such file or directory");
  refuse({"--text", "folder"}, "--text folder: it cannot be read: Is a directory");
  refuse({"--text", "text"}, "--text text: it has 400 characters");
  for (const std::string option : {"--memory", "--validation", "--test"}) {
    refuse({"--text", "text", option, "0"}, option + " must be at least 1");
    refuse({"--text", "text", option, "9223372036854775807"}, "--text text: it has 400 characters");
  }
  refuse({"--memory", "many"}, "--memory = many");
  refuse(with({"--output-dir", "text"}), "--output-dir text: it cannot be made, or is no folder");
  refuse(with({"--output-dir", "text/below"}), "--output-dir text/below: it cannot be made, or is no folder: Not a directory");
  refuse(with({"--output-dir", ""}), "--output-dir : it cannot be made");
  fs::create_directories(folder / "blocked/softmax.dat");
  refuse(with({"--output-dir", "blocked"}), "--output-dir blocked: softmax.dat: it cannot be written");
  if (fs::exists("/dev/full")) refuse(with({"--output-dir", "out"}), "standard output cannot be written", "/dev/full");
}

#endif
