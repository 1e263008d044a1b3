// What every program's main does: read the command line, run, and report what went wrong in one line.
#pragma once

#include "usage.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

namespace program {

/// One line whatever the message quotes: names of files may hold line breaks. Returns the exit code.
inline int report(const std::string& name, std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  std::cerr << name << ": " << message << '\n';
  return 2;
}

/// Throws UsageError where something that was printed has not been written.
inline void flush_standard_output() {
  const bool printed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!std::cout.flush() || !printed) refuse("standard output cannot be written");
}

/// Reads the command line and returns body(), an exit code; 2 for what cannot be done.
template <class Body>
int run_main(const std::string& name, CLI::App& app, int argc, char** argv, const Body& body) {
  try {
    app.parse(argc, argv);
    const int code = body();
    flush_standard_output();
    return code;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::bad_alloc&) {
    return report(name, "there is not enough memory");
  } catch (const std::length_error&) {
    return report(name, "there is not enough memory");
  } catch (const std::exception& error) {
    return report(name, error.what());
  }
}

}  // namespace program
