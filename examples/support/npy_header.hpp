// The header of NumPy's .npy files.
// Format: numpy.lib.format, versions 1.0 to 3.0: headers as numpy.load takes them, whoever wrote them.
#pragma once

#include "usage.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <istream>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace npy {

/// What is wrong with a file: the rest of a sentence that starts with the file's name.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Number of elements. Throws Error when the sizes other than 0 multiply to more bytes than
/// std::ptrdiff_t can count: an index computed from any of them is then safe in signed arithmetic.
inline std::size_t count(const std::vector<std::size_t>& shape, std::size_t item_size) {
  const std::size_t limit = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / item_size;
  std::size_t product = 1;
  bool empty = false;
  for (const std::size_t n : shape) {
    empty = empty || n == 0;
    if (n == 0) continue;
    if (n > limit / product) throw Error("its shape overflows");
    product *= n;
  }
  return empty ? 0 : product;
}

namespace detail {

inline constexpr const char* no_floats = "its elements are neither float32 nor float64, little-endian or big-endian";

/// Exactly n bytes. Memory grows with what arrives, not with what a header announces.
inline std::vector<char> take(std::istream& stream, std::size_t n) {
  constexpr std::size_t first_step = std::size_t{1} << 20;
  std::vector<char> bytes;
  while (bytes.size() < n) {
    const std::size_t before = bytes.size();
    bytes.resize(before + std::min(n - before, std::max(before, first_step)));
    errno = 0;
    stream.read(bytes.data() + before, static_cast<std::streamsize>(bytes.size() - before));
    if (stream.bad()) throw Error("it cannot be read" + program::reason(errno));
    if (!stream) throw Error("it is truncated");
  }
  return bytes;
}

/// Elements of a file: 'f' floating-point, 'i' and 'u' whole numbers, 'V' bytes, as which NumPy writes bfloat16 (the package
/// ml_dtypes has it).
struct Type {
  char kind = 0;
  std::size_t size = 0;
  bool big_endian = false;

  bool is_float() const { return kind == 'f' && (size == 4 || size == 8); }
  bool is_sixteen_bits() const { return size == 2 && (kind == 'f' || kind == 'V'); }
};

/// What numpy.dtype makes of a description: a byte order, or none, and a code; or a name. Kind 0 where it is no number of at
/// most eight bytes.
inline Type parse_type(std::string_view text) {
  struct Word {
    std::string_view text;
    Type type;
  };
  // l and L as on Linux.
  static constexpr Word codes[] = {
      {"f2", {'f', 2}}, {"e", {'f', 2}},  {"V2", {'V', 2}},
      {"f4", {'f', 4}}, {"f8", {'f', 8}}, {"f", {'f', 4}},  {"d", {'f', 8}},  {"i1", {'i', 1}}, {"i2", {'i', 2}},
      {"i4", {'i', 4}}, {"i8", {'i', 8}}, {"u1", {'u', 1}}, {"u2", {'u', 2}}, {"u4", {'u', 4}}, {"u8", {'u', 8}},
      {"b", {'i', 1}},  {"h", {'i', 2}},  {"i", {'i', 4}},  {"l", {'i', 8}},  {"q", {'i', 8}},  {"B", {'u', 1}},
      {"H", {'u', 2}},  {"I", {'u', 4}},  {"L", {'u', 8}},  {"Q", {'u', 8}}};
  static constexpr Word names[] = {
      {"float16", {'f', 2}}, {"half", {'f', 2}},
      {"float32", {'f', 4}}, {"single", {'f', 4}}, {"float64", {'f', 8}}, {"double", {'f', 8}}, {"float", {'f', 8}},
      {"int8", {'i', 1}},    {"int16", {'i', 2}},  {"int32", {'i', 4}},   {"int64", {'i', 8}},  {"int", {'i', 8}},
      {"uint8", {'u', 1}},   {"uint16", {'u', 2}}, {"uint32", {'u', 4}},  {"uint64", {'u', 8}}};
  for (const Word& word : names) {
    if (word.text == text) return word.type;
  }
  const bool ordered = !text.empty() && std::string_view("<>=|").find(text[0]) != std::string_view::npos;
  for (const Word& word : codes) {
    if (word.text == text.substr(ordered ? 1 : 0)) return Type{word.type.kind, word.type.size, text[0] == '>'};
  }
  return Type{};
}

/// A walk through the Python literal that is a file's header.
class Literal {
 public:
  /// Python 2 wrote whole numbers with an L, which NumPy takes in versions 1 and 2 of the format.
  Literal(std::string_view text, bool long_numbers) : text_(text), long_numbers_(long_numbers) {}

  /// Steps over a character if it comes next, blanks aside.
  bool take(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) malformed();
  }

  /// Python's strings of characters: one or several, which join, with a prefix or none.
  std::string quoted() {
    if (take('(')) return closed(&Literal::quoted);
    std::string result;
    skip_blanks();
    do {
      string(result);
      skip_blanks();
    } while (at_ < text_.size() && std::string_view("'\"uUrR").find(text_[at_]) != std::string_view::npos);
    return result;
  }

  bool boolean() {
    if (take('(')) return closed(&Literal::boolean);
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    malformed();
  }

  /// A tuple of sizes: (), (3,), (3, 4).
  std::vector<std::size_t> shape() {
    expect('(');
    const Item item = tuple();
    if (!item.is_tuple) throw Error("its shape is malformed");
    return item.sizes;
  }

  void expect_end() {
    skip_blanks();
    if (at_ != text_.size()) malformed();
  }

  [[noreturn]] static void malformed() { throw Error("its header is malformed"); }

 private:
  struct Item {
    bool is_tuple = false;
    std::vector<std::size_t> sizes;
  };

  /// A value behind an opening parenthesis, and the closing one.
  template <class Value>
  Value closed(Value (Literal::*value)()) {
    if (++depth_ > 32) malformed();
    Value result = (this->*value)();
    --depth_;
    expect(')');
    return result;
  }

  static bool is_digit(char c) { return '0' <= c && c <= '9'; }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  /// Blanks, line breaks, lines that are continued, and comments.
  void skip_blanks() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '#') at_ = text_.find_first_of("\r\n", at_);
      if (at_ >= text_.size()) break;
      const bool continued = text_[at_] == '\\' && (peek(1) == '\n' || peek(1) == '\r');
      if (!continued && std::string_view(" \t\n\r\f").find(text_[at_]) == std::string_view::npos) return;
    }
    at_ = text_.size();
  }

  /// What is behind the opening parenthesis of a tuple, or of one value.
  Item tuple() {
    if (++depth_ > 32) throw Error("its shape is malformed");
    Item all;
    std::size_t items = 0;
    bool comma = true, nested = false;
    while (!take(')')) {
      if (!comma) throw Error("its shape is malformed");
      const Item item = take('(') ? tuple() : Item{false, {size()}};
      nested = nested || item.is_tuple;
      ++items;
      all.sizes.insert(all.sizes.end(), item.sizes.begin(), item.sizes.end());
      if (items > 64) throw Error("it has too many dimensions");
      comma = take(',');
    }
    --depth_;
    const bool one = items == 1 && !comma;  // only in parentheses
    if (nested && !one) throw Error("its shape is malformed");
    all.is_tuple = nested || !one;
    return all;
  }

  std::size_t size() {
    skip_blanks();
    if (peek() == '+') ++at_;
    skip_blanks();
    const char prefix = peek() == '0' ? static_cast<char>(peek(1) | 0x20) : '\0';
    const unsigned base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) at_ += 2;
    std::size_t value = 0, digits = 0;
    bool zero_first = false;
    for (;; ++at_) {
      // One underscore may stand between two digits, or behind the prefix.
      if (peek() == '_' && (digits > 0 || base != 10)) ++at_;
      const char c = peek(), lower = static_cast<char>(c | 0x20);
      const unsigned digit = is_digit(c) ? static_cast<unsigned>(c - '0') : 'a' <= lower && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10u : 99u;
      if (digit >= base) break;
      if (value > (std::numeric_limits<std::size_t>::max() - digit) / base) throw Error("its shape overflows");
      value = value * base + digit;
      zero_first = zero_first || (digits++ == 0 && digit == 0);
    }
    if (digits == 0 || text_[at_ - 1] == '_' || (base == 10 && zero_first && value != 0)) throw Error("its shape is malformed");
    if (long_numbers_ && take('L')) return value;
    return value;
  }

  /// Appends one string of Python's.
  void string(std::string& result) {
    bool raw = false;
    if (peek() == 'u' || peek() == 'U') {
      ++at_;
    } else if (peek() == 'r' || peek() == 'R') {
      ++at_;
      raw = true;
    }
    const char quote = peek();
    if (quote != '\'' && quote != '"') malformed();
    const bool triple = peek(1) == quote && peek(2) == quote;
    const std::string end(triple ? 3 : 1, quote);
    for (at_ += end.size(); text_.substr(at_, end.size()) != end;) {
      if (at_ == text_.size() || (!triple && (text_[at_] == '\n' || text_[at_] == '\r'))) malformed();
      if (text_[at_] == '\\' && !raw) {
        ++at_;
        escape(result);
      } else {
        result += text_[at_++];
      }
    }
    at_ += end.size();
  }

  /// What is behind a backslash: of the characters that a description has, each may be written by its number.
  void escape(std::string& result) {
    const auto number = [&](unsigned base, std::size_t least, std::size_t most) {
      unsigned value = 0;
      std::size_t n = 0;
      for (; n < most && at_ < text_.size(); ++n, ++at_) {
        const char lower = static_cast<char>(peek() | 0x20);
        const unsigned digit = is_digit(peek()) ? static_cast<unsigned>(peek() - '0') : 'a' <= lower && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10u : 99u;
        if (digit >= base) break;
        value = value * base + digit;
      }
      if (n < least) malformed();
      result += value < 0x80 ? static_cast<char>(value) : '?';
    };
    if (at_ == text_.size()) malformed();
    const char c = peek();
    if ('0' <= c && c <= '7') return number(8, 1, 3);
    ++at_;
    if (c == 'x') return number(16, 2, 2);
    if (c == 'u') return number(16, 4, 4);
    if (c == 'U') return number(16, 8, 8);
    if (c == '\n') return;
    if (c == '\'' || c == '"' || c == '\\') {
      result += c;
    } else {
      result += '?';  // none of our words has it
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool long_numbers_;
  int depth_ = 0;
};

struct Header {
  Type type;
  bool fortran_order = false;
  std::vector<std::size_t> shape;
};

/// A dictionary of exactly the three keys, in any order.
inline Header parse_header(std::string_view text, bool long_numbers) {
  Literal literal(text, long_numbers);
  Header header;
  bool has_type = false, has_order = false, has_shape = false;
  int parentheses = 0;
  for (; literal.take('('); ++parentheses) {
  }
  literal.expect('{');
  bool comma = true;
  while (!literal.take('}')) {
    if (!comma) Literal::malformed();
    const std::string key = literal.quoted();
    literal.expect(':');
    if (key == "descr" && !has_type) {
      // A list describes a record of several fields.
      if (literal.take('[')) throw Error(no_floats);
      header.type = parse_type(literal.quoted());
      has_type = true;
    } else if (key == "fortran_order" && !has_order) {
      header.fortran_order = literal.boolean();
      has_order = true;
    } else if (key == "shape" && !has_shape) {
      header.shape = literal.shape();
      has_shape = true;
    } else {
      Literal::malformed();
    }
    comma = literal.take(',');
  }
  for (; parentheses > 0; --parentheses) literal.expect(')');
  literal.expect_end();
  if (!has_type || !has_order || !has_shape) Literal::malformed();
  return header;
}

/// Reads up to the first element. Throws Error, as it does where `wanted` is false of the type.
template <class Wanted>
Header read_header(std::istream& stream, const Wanted& wanted, const char* unwanted) {
  const std::vector<char> start = take(stream, 8);
  if (std::memcmp(start.data(), "\x93NUMPY", 6) != 0) throw Error("it is not a .npy file");
  if (start[6] < 1 || start[6] > 3 || start[7] != 0) throw Error("its .npy version is unknown");
  std::size_t header_size = 0;
  const std::vector<char> length = take(stream, start[6] == 1 ? 2 : 4);
  for (std::size_t i = length.size(); i-- > 0;) header_size = header_size << 8 | static_cast<unsigned char>(length[i]);
  const std::vector<char> text = take(stream, header_size);
  Header header = parse_header(std::string_view(text.data(), text.size()), start[6] < 3);
  if (!wanted(header.type)) throw Error(unwanted);
  return header;
}

}  // namespace detail

}  // namespace npy
