// One way to draw: a gnuplot script in the folder of the picture, run there without a shell.
#pragma once

#include "files.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <ios>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

namespace gnuplot {

/// A string of a script, byte for byte. What gnuplot might expand (backticks run commands, @ names a macro) or end the
/// string or the line at is written as its octal number.
inline std::string literal(std::string_view text) {
  constexpr std::string_view plain = " _.,:()/+-=";
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || byte >= 0x80;
    if (letter || plain.find(c) != std::string_view::npos) {
      result += c;
    } else {
      char octal[5];
      std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned>(byte));
      result += octal;
    }
  }
  return result + "\"";
}

/// Bytes of the UTF-8 character that `text` begins with, RFC 3629; 0 where it begins with none that XML may hold.
inline std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) -> unsigned { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= ' ' && first != 0x7f ? 1 : 0;
  const std::size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second >= 0xa0, above = first == 0xf4 && second >= 0x90;
  const bool unprintable = (first == 0xc2 && second < 0xa0) || (first == 0xef && second == 0xbf && byte(2) >= 0xbe);
  return overlong || surrogate || above || unprintable ? 0 : length;
}

/// A text of a picture, such as a column's name: what is no printable character becomes a blank. To be followed by
/// `noenhanced` where the terminal is enhanced.
inline std::string label(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    printable += length == 0 ? " " : std::string(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return literal(printable);
}

/// A number of a script or its data: the shortest that is read back as the same double. "nan" is a gap in a line.
inline std::string number(double value) {
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

namespace detail {

/// Runs `gnuplot -d name` in the folder; -d leaves out the user's own settings. Returns what it complained about, "" if it
/// was content, and sets `missing` where there is no gnuplot.
inline std::string execute(const std::string& folder, const std::string& name, bool& missing) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "gnuplot cannot be started" + program::reason(errno);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::string words[] = {"gnuplot", "-d", name};
  char* const arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n = 0; error == 0 && ((n = ::read(ends[0], buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR));) {
    if (n > 0 && said.size() < std::size_t{1} << 16) said.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  if (error != 0) {
    missing = error == ENOENT;
    return "gnuplot cannot be started" + program::reason(error);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  said.erase(said.find_last_not_of(" \t\r\n") + 1);
  return "gnuplot failed: " + said.substr(said.rfind('\n') + 1);  // where it says which line is wrong
}

/// True if a picture is there to its end, which a full disk cuts off without a word from gnuplot.
inline bool whole(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(0, std::ios::end);
  const std::streamoff size = stream.tellg();
  stream.seekg(size < 32 ? 0 : size - 32);
  std::string end(32, ' ');
  stream.read(end.data(), 32);  // not all of it: the path may lead to a device
  return end.find("</svg>") != std::string::npos || end.find("IEND") != std::string::npos;
}

}  // namespace detail

/// Writes a script into a folder, as `name`, and has gnuplot run it there, to draw `pictures`. Returns true if it did, and
/// false where gnuplot is not installed. Throws program::UsageError, which begins with `what`, for any other failure.
inline bool draw(const std::string& folder, const std::string& name, std::string_view script,
                 const std::vector<std::string>& pictures, const std::string& what) {
  program::write_file(folder + "/" + name, script, what + ": " + name);
  bool missing = false;
  const std::string complaint = detail::execute(folder, name, missing);
  if (missing) return false;
  if (!complaint.empty()) program::refuse(what + ": " + complaint);
  for (const std::string& picture : pictures) {
    if (!detail::whole(folder + "/" + picture)) program::refuse(what + ": " + picture + ": it cannot be written");
  }
  return true;
}

/// What to do where `draw` returned false.
inline std::string advice(const std::string& folder, const std::string& name) {
  return "gnuplot is missing (apt-get install gnuplot-nox); then run gnuplot " + name + " in " + folder;
}

}  // namespace gnuplot
