// How the program reports what it cannot do: one sentence.
#pragma once

#include <stdexcept>
#include <string>

namespace program {

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void refuse(const std::string& message) { throw UsageError(message); }

}  // namespace program
