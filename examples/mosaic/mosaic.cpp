// mosaic: Memory Mosaics, networks made of kernel regressions.
#include "check.hpp"
#include "usage.hpp"

#include <CLI/CLI.hpp>

#include <exception>
#include <iostream>
#include <new>
#include <string>

namespace {

/// One line whatever the message quotes: the command line may hold line breaks.
int report(std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  std::cerr << "mosaic: " << message << '\n';
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Memory Mosaics: networks made of kernel regressions."};
  app.require_subcommand(1);

  std::string fixture, output;
  int threads = 1;
  CLI::App& check = *app.add_subcommand("check", "logits, loss and gradients of a model that is given in .npy files");
  check.add_option("fixture", fixture, "folder with config.json, tokens.npy, targets.npy and param.*.npy")->required();
  check.add_option("output", output, "folder for logits.npy, loss.npy and grad.*.npy")->required();
  check.add_option("--threads", threads, "threads that share the work, default 1; the result does not depend on it");

  try {
    app.parse(argc, argv);
    if (threads < 1) program::refuse("--threads must be at least 1");
    program::check(fixture, output, threads);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const std::bad_alloc&) {
    return report("there is not enough memory");
  } catch (const std::exception& error) {
    return report(error.what());
  }
  return 0;
}
