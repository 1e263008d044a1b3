// What every program's main does: read the command line, run, and report what went wrong in one line.
#pragma once

#include "usage.hpp"

#include <CLI/CLI.hpp>

#include <fcntl.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>

namespace program {

/// One line whatever the message quotes: names of files may hold line breaks. Returns the exit code.
inline int report(const std::string& name, std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  std::cerr << name << ": " << message << '\n';
  return 2;
}

/// Where a standard stream is closed, its number must not become that of a file which the program opens: what is printed
/// would go there. Reading gives nothing then, and writing fails.
inline void reserve_standard_streams() {
  for (int stream = 0; stream < 3; ++stream) {
    // The least number that is free is this one.
    if (::fcntl(stream, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) < 0) return;
  }
}

/// Throws UsageError where something that was printed has not been written.
inline void flush_standard_output() {
  const bool printed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!std::cout.flush() || !printed) refuse("standard output cannot be written");
}

/// Reads the command line and returns body(), an exit code; 2 for what cannot be done.
template <class Body>
int run_main(const std::string& name, CLI::App& app, int argc, char** argv, const Body& body) {
  reserve_standard_streams();
  try {
    int code = 0;
    try {
      app.parse(argc, argv);
      code = body();
    } catch (const CLI::Success& help) {
      code = app.exit(help);
    }
    flush_standard_output();
    return code;
  } catch (const std::bad_alloc&) {
    return report(name, "there is not enough memory");
  } catch (const std::length_error&) {
    return report(name, "there is not enough memory");
  } catch (const std::exception& error) {
    return report(name, error.what());
  }
}

}  // namespace program
