// How a bad argument is reported: one message naming function, argument and shapes.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

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

/// The shape of a matrix.
struct Shape {
  std::ptrdiff_t rows;
  std::ptrdiff_t cols;
};

inline Shape shape(std::ptrdiff_t rows, std::ptrdiff_t cols) { return Shape{rows, cols}; }
template <class M>
Shape shape(const M& m) {
  return Shape{m.rows(), m.cols()};
}

/// A part of a message: text, a number, or a shape as "[rows x cols]".
class MessagePart {
 public:
  MessagePart(const char* text) : text_(text) {}
  MessagePart(char text) : text_(1, text) {}
  MessagePart(std::string text) : text_(std::move(text)) {}
  template <class Number>
    requires(std::is_arithmetic_v<Number>)
  MessagePart(Number number) {
    if constexpr (std::is_integral_v<Number>) {
      text_ = std::to_string(number);
    } else {
      append(static_cast<double>(number));
    }
  }
  MessagePart(const Shape& shape)
      : text_('[' + std::to_string(shape.rows) + " x " + std::to_string(shape.cols) + ']') {}

  const std::string& text() const { return text_; }

 private:
  /// In six digits.
  void append(double number) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", number);
    text_ += digits;
  }

  std::string text_;
};

[[noreturn]] inline void fail(std::initializer_list<MessagePart> parts) {
  std::string message = "nadaraya::";
  for (const MessagePart& part : parts) message += part.text();
  fail(message);
}

/// Checks one condition; the message is put together only when it fails.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) fail({MessagePart(parts)...});
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

}  // namespace nadaraya::detail

#include "nadaraya/detail/end_precise.hpp"
