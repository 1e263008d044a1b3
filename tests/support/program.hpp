// Runs a program in a folder, without a shell: its arguments may hold anything.
#pragma once

#include "tests/support/catch.hpp"
#include "tests/support/folder.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

extern char** environ;

namespace nadaraya::test {

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

/// Standard output goes to `out` if that is given, a path.
inline Outcome run_program(const std::string& program, const Folder& folder, std::vector<std::string> arguments,
                           const std::string& out = "") {
  const Folder streams;
  arguments.insert(arguments.begin(), program);
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, (out.empty() ? streams / "out" : out).c_str(), O_WRONLY | O_CREAT, 0666);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (streams / "err").c_str(), O_WRONLY | O_CREAT, 0666);
  posix_spawn_file_actions_addchdir_np(&actions, (folder / "").c_str());
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(error == 0);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return Outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, streams.content("out"), streams.content("err")};
}

/// The program refuses: exit code 2 and one line, which begins with the program's name and holds `reason`.
inline void require_refused(const std::string& program, const Folder& folder, const std::vector<std::string>& arguments,
                            const std::string& reason, const std::string& out = "") {
  const std::string name = program.substr(program.rfind('/') + 1) + ": ";
  std::string line = name;
  for (const std::string& argument : arguments) line += argument + " ";
  INFO(line);
  const Outcome outcome = run_program(program, folder, arguments, out);
  REQUIRE(outcome.err.substr(0, name.size()) == name);
  REQUIRE(outcome.err.find('\n') == outcome.err.size() - 1);
  REQUIRE_THAT(outcome.err, catch_shim::contains(reason));
  REQUIRE_THAT(outcome.err, !catch_shim::contains("filesystem"));
  REQUIRE_THAT(outcome.err, !catch_shim::contains("basic_"));
  REQUIRE(outcome.exit_code == 2);
}

/// Where a folder of PATH has a program of that name.
inline bool installed(const std::string& name) {
  const char* const path = std::getenv("PATH");
  const std::string folders = path == nullptr ? "" : path;
  for (std::size_t at = 0; at < folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    if (access((folders.substr(at, end - at) + "/" + name).c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

/// Names of folders and files that a shell or gnuplot would take for something else; "touch pwned" would leave a trace.
inline std::vector<std::string> hostile_names() {
  return {"Shakespeare's", "two words", "`touch pwned`", "$(touch pwned)", "'; touch pwned; '", "-leading", "|touch pwned",
          "<touch pwned", "new\nline", "double\"quote", "back\\slash", "@macro", "{Bold x}_2", "#comment", "100%d", "~", "\xc3\xa9"};
}

}  // namespace nadaraya::test
