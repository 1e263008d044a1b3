// What a call complains of.
#pragma once

#include <stdexcept>
#include <string>

namespace nadaraya::test {

/// The message of the std::invalid_argument that call() throws.
template <class Call>
std::string message(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace nadaraya::test
