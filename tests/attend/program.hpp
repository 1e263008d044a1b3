// Runs the program attend in a temporary folder.
#pragma once

#include "examples/support/npy.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/folder.hpp"

#include <sys/wait.h>

#include <cstdlib>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

namespace nadaraya::test {

/// Options without their dashes. A change sets one, "name=value", or leaves one out, "!name";
/// anything else follows the options as it is.
class Arguments {
 public:
  Arguments(std::initializer_list<std::string> changes) { apply(changes); }

  Arguments with(const std::vector<std::string>& changes) const {
    Arguments result = *this;
    result.apply(changes);
    return result;
  }

  std::string text() const {
    std::string result;
    for (const auto& [name, value] : options_) result += " --" + name + " '" + value + "'";
    return result + more_;
  }

 private:
  void apply(const std::vector<std::string>& changes) {
    for (const std::string& change : changes) {
      const std::size_t equals = change.find('=');
      if (change[0] == '!') {
        options_.erase(change.substr(1));
      } else if (equals != std::string::npos) {
        options_[change.substr(0, equals)] = change.substr(equals + 1);
      } else {
        more_ += " " + change;
      }
    }
  }

  std::map<std::string, std::string> options_;
  std::string more_;
};

struct Outcome {
  int exit_code;
  std::string out, err;
};

/// Runs the program in the folder; `before` and `after` surround it on the shell's command line.
inline Outcome run_attend(const Folder& folder, const std::string& arguments, const std::string& before = "",
                          const std::string& after = "") {
  const Folder streams;
  const std::string command = "cd '" + (folder / "") + "' && " + before + " '" + NADARAYA_ATTEND + "'" + arguments +
                              " > '" + (streams / "out") + "' 2> '" + (streams / "err") + "' " + after;
  const int status = std::system(command.c_str());
  return Outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, streams.content("out"), streams.content("err")};
}

/// The program refuses: one line that contains `reason`, exit code 2, and nothing in the folder has changed.
inline void require_refused(const Folder& folder, const std::string& arguments, const std::string& reason,
                            const std::string& before = "", const std::string& after = "") {
  INFO("attend" << arguments);
  const auto files = folder.snapshot();
  const Outcome outcome = run_attend(folder, arguments, before, after);
  REQUIRE(outcome.err.substr(0, 8) == "attend: ");
  REQUIRE(outcome.err.find('\n') == outcome.err.size() - 1);
  REQUIRE_THAT(outcome.err, catch_shim::contains(reason));
  REQUIRE(outcome.out == "");
  REQUIRE(outcome.exit_code == 2);
  REQUIRE(folder.snapshot() == files);
}

/// The program succeeds, and says nothing on standard error. Returns its standard output.
inline std::string require_success(const Folder& folder, const std::string& arguments) {
  INFO("attend" << arguments);
  const Outcome outcome = run_attend(folder, arguments);
  REQUIRE(outcome.err == "");
  REQUIRE(outcome.exit_code == 0);
  REQUIRE(outcome.out.find('\n') == outcome.out.size() - 1);
  return outcome.out;
}

}  // namespace nadaraya::test
