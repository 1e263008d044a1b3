// How a bad argument is reported: one message naming function, argument and shapes.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::detail {

/// Throws std::invalid_argument; where exceptions are switched off, prints the message and aborts.
[[noreturn, gnu::cold]] inline void fail(const std::string& message) {
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

/// A part of a message: text, to which it refers, a number, or a shape as "[rows x cols]". It owns nothing: what a check costs
/// its caller in code is a list of values.
class MessagePart {
 public:
  MessagePart(const char* text) : text_(text) {}
  MessagePart(const std::string& text) : text_(text.c_str()) {}
  MessagePart(char text) : kind_(Kind::letter), letter_(text) {}
  template <class Number>
    requires(std::is_arithmetic_v<Number>)
  MessagePart(Number number) {
    if constexpr (std::is_floating_point_v<Number>) {
      kind_ = Kind::real;
      real_ = static_cast<double>(number);
    } else {
      kind_ = std::is_signed_v<Number> ? Kind::whole : Kind::natural;
      sizes_[0] = static_cast<long long>(number);
    }
  }
  MessagePart(const Shape& shape) : MessagePart({shape.rows, shape.cols}) {}
  /// Up to four sizes of a shape.
  MessagePart(std::initializer_list<std::ptrdiff_t> sizes) : kind_(Kind::shape) {
    for (const std::ptrdiff_t size : sizes) sizes_[count_++] = size;
  }

  [[gnu::cold]] void append_to(std::string& message) const {
    char digits[32];
    switch (kind_) {
      case Kind::text:
        message += text_;
        return;
      case Kind::letter:
        message += letter_;
        return;
      case Kind::shape:
        for (int i = 0; i < count_; ++i) {
          std::snprintf(digits, sizeof digits, "%s%lld", i == 0 ? "[" : " x ", sizes_[i]);
          message += digits;
        }
        message += ']';
        return;
      case Kind::whole:
        std::snprintf(digits, sizeof digits, "%lld", sizes_[0]);
        break;
      case Kind::natural:
        std::snprintf(digits, sizeof digits, "%llu", static_cast<unsigned long long>(sizes_[0]));
        break;
      case Kind::real:
        std::snprintf(digits, sizeof digits, "%g", real_);
        break;
    }
    message += digits;
  }

 private:
  enum class Kind { text, letter, whole, natural, real, shape };

  Kind kind_ = Kind::text;
  char letter_ = 0;
  int count_ = 0;  ///< sizes
  const char* text_ = nullptr;
  double real_ = 0;
  long long sizes_[4] = {};  ///< or a whole number
};

[[noreturn, gnu::cold]] inline void fail(std::initializer_list<MessagePart> parts) {
  std::string message = "nadaraya::";
  for (const MessagePart& part : parts) part.append_to(message);
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
