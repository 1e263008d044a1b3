// How the program reports what it cannot do: one sentence.
#pragma once

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace program {

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void refuse(const std::string& message) { throw UsageError(message); }

/// ": " and what the system says, or nothing where it says nothing.
inline std::string reason(int error) { return error == 0 ? "" : ": " + std::generic_category().message(error); }

/// What the library says of an argument, without the name of the function, which a user of a program did not call.
inline std::string complaint(const std::invalid_argument& error) {
  const std::string message = error.what();
  const std::size_t name = message.find(": ");
  return name == std::string::npos ? message : message.substr(name + 2);
}

/// work(), of the library, whose complaints are about options: it names them as its user wrote them.
template <class Work>
decltype(auto) as_usage(const Work& work) {
  try {
    return work();
  } catch (const std::invalid_argument& error) {
    refuse(complaint(error));
  }
}

/// As many as mosaic::ThreadPool takes.
constexpr int most_threads = 4096;

/// As many as there are processors.
inline int default_threads() { return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, most_threads); }

inline void check_threads(int threads) {
  if (threads < 1) refuse("--threads must be at least 1");
  if (threads > most_threads) refuse("--threads must be at most " + std::to_string(most_threads));
}

}  // namespace program
