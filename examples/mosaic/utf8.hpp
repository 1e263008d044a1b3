// Text as characters: UTF-8, RFC 3629.
#pragma once

#include "../support/usage.hpp"

#include <cstddef>
#include <string>

namespace program {

/// Throws UsageError, which begins with `what`, for bytes that are not UTF-8.
inline std::u32string from_utf8(const std::string& bytes, const std::string& what) {
  std::u32string text;
  for (std::size_t i = 0; i < bytes.size();) {
    const auto byte = [&](std::size_t at) -> unsigned { return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0u; };
    const unsigned first = byte(i);
    const std::size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    const char32_t least[] = {0, 0x80, 0x800, 0x10000};
    bool good = first < 0x80 || (first >= 0xc2 && first < 0xf5);
    char32_t c = more == 0 ? first : first & (0x3fu >> more);
    for (std::size_t j = 1; j <= more; ++j) {
      good = good && (byte(i + j) & 0xc0u) == 0x80u;
      c = (c << 6) | (byte(i + j) & 0x3fu);
    }
    good = good && c >= least[more] && c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);
    if (!good) refuse(what + ": it is not UTF-8 at byte " + std::to_string(i));
    text.push_back(c);
    i += 1 + more;
  }
  return text;
}

inline std::string to_utf8(char32_t c) {
  const auto byte = [](char32_t b) { return static_cast<char>(static_cast<unsigned char>(b)); };
  const auto rest = [&](int shift) { return byte(0x80u | ((c >> shift) & 0x3fu)); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0u | (c >> 6)), rest(0)};
  if (c < 0x10000) return {byte(0xe0u | (c >> 12)), rest(6), rest(0)};
  return {byte(0xf0u | (c >> 18)), rest(12), rest(6), rest(0)};
}

}  // namespace program
