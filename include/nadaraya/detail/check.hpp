// How a bad argument is reported: one message naming function, argument and shapes.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Throws std::invalid_argument; where exceptions are switched off, prints the message and aborts.
[[noreturn]] inline void fail(const std::string& message) {
#if defined(__cpp_exceptions)
  throw std::invalid_argument(message);
#else
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
#endif
}

/// Checks one condition; the message is put together only when it fails.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (condition) return;
  std::ostringstream message;
  message << "nadaraya::";
  (message << ... << parts);
  fail(message.str());
}

/// Calls work, and failed inside the handler of any exception it throws. Where exceptions are
/// switched off there is none to handle.
template <class Work, class Failed>
void attempt(const Work& work, [[maybe_unused]] const Failed& failed) {
#if defined(__cpp_exceptions)
  try {
    work();
  } catch (...) {
    failed();
  }
#else
  work();
#endif
}

/// The shape of a matrix. Streams as "[rows x cols]", which costs nothing until a message is formed.
struct Shape {
  std::ptrdiff_t rows;
  std::ptrdiff_t cols;

  friend std::ostream& operator<<(std::ostream& to, const Shape& shape) {
    return to << '[' << shape.rows << " x " << shape.cols << ']';
  }
};

inline Shape shape(std::ptrdiff_t rows, std::ptrdiff_t cols) { return Shape{rows, cols}; }
template <class M>
Shape shape(const M& m) {
  return Shape{m.rows(), m.cols()};
}

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
